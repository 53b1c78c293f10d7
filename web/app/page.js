/** Shared by all parts of the page: elements, messages, and actions. */
import { keepingFocus } from "./focus.js";
import { put } from "./text.js";

export const $ = (id) => document.getElementById(id);

/** Shows a message in the element of this id, which is visible to the person at that moment. */
export const sayIn = (id) => (content, bad = false) => {
  put($(id), content);
  $(id).classList.toggle("bad", bad);
};

const sayWell = sayIn("notice");
const sayBadly = sayIn("alert");

/** Shows a message at the lower edge of the window. Errors interrupt a screen reader. */
export function say(content, bad = false) {
  sayWell(bad ? "" : content);
  sayBadly(bad ? content : "", bad);
}

$("said-close").addEventListener("click", () => say(""));

/** Whether a problem means that the session is over. */
export function isOver({ slug }) {
  return /^(token-.*|session-ended|account-blocked)$/.test(slug);
}

let endSession;

/** Registers a handler for the end of the session; it gets the problem. */
export function whenSessionEnds(work) {
  endSession = work;
}

/** Controls with an action in progress, each with its own mark. */
const busy = new Map();

/** Runs an action. Errors are shown near its control. Meanwhile the control keeps the focus and does nothing. */
export async function attempt(work, control, notify = say) {
  if (busy.has(control)) return;
  const begun = Symbol();
  const refocus = keepingFocus(control);
  if (control) {
    busy.set(control, begun);
    control.ariaBusy = control.ariaDisabled = "true";
  }
  // A background action must not clear a message.
  if (control || notify !== say) notify("");
  try {
    await work();
  } catch (problem) {
    if (problem.left) return;
    if (isOver(problem)) endSession(problem);
    else notify(problem.message, true);
  } finally {
    if (control && busy.get(control) === begun) {
      free(control);
      refocus();
    }
  }
}

export function onSubmit(id, work, notify = say) {
  $(id).addEventListener("submit", (event) => {
    event.preventDefault();
    const form = event.currentTarget;
    void attempt(() => work(Object.fromEntries(new FormData(form)), form), form.querySelector("button"), notify);
  });
}

function free(control) {
  busy.delete(control);
  control.ariaBusy = control.ariaDisabled = null;
}

const leaving = [() => [...busy.keys()].forEach(free)];

/** Registers a reset for when the person leaves. */
export function whenLeft(work) {
  leaving.push(work);
}

let pristine;

/** Saves the page before anybody has signed in; the next person gets it back. */
export function rememberPage() {
  pristine = document.body.cloneNode(true);
}

/** Resets everything of one person: what was shown, typed or chosen, and the state of all parts. */
export function clearPage() {
  for (const dialog of document.querySelectorAll("dialog[open]")) dialog.close();
  for (const forget of leaving) forget();
  for (const field of document.querySelectorAll("input, select, textarea")) resetField(field);
  for (const was of pristine.querySelectorAll("[id]")) if ($(was.id)) resetElement($(was.id), was);
  scrollTo(0, 0);
}

function resetField(field) {
  if (field.type === "checkbox") field.checked = field.defaultChecked;
  else if (field.type === "file") field.value = "";
  else if (field.options) { for (const option of field.options) option.selected = option.defaultSelected; }
  else field.value = field.defaultValue;
}

function resetElement(element, was) {
  for (const { name } of [...element.attributes]) if (!was.hasAttribute(name)) element.removeAttribute(name);
  for (const { name, value } of was.attributes) element.setAttribute(name, value);
  if (element.isEqualNode(was)) return;
  // Parts with ids may have event listeners, so they are kept.
  if (!was.querySelector("[id]")) return element.replaceChildren(...was.cloneNode(true).childNodes);
  for (const [i, part] of [...was.children].entries()) if (!part.id) resetElement(element.children[i], part);
}

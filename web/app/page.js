/** What all parts of the page do alike: find its elements, say what happened, run what a person asked for. */
import { keepingFocus } from "./focus.js";
import { put } from "./text.js";

export const $ = (id) => document.getElementById(id);

/** Says something in the element of this id, which is in view wherever it is said from. */
export const sayIn = (id) => (content, bad = false) => {
  put($(id), content);
  $(id).classList.toggle("bad", bad);
};

const sayWell = sayIn("notice");
const sayBadly = sayIn("alert");

/** Says something at the lower edge of the window; what went wrong interrupts whoever listens. */
export function say(content, bad = false) {
  sayWell(bad ? "" : content);
  sayBadly(bad ? content : "", bad);
}

$("said-close").addEventListener("click", () => say(""));

/** Whether a problem says that the session is over. */
export function isOver({ slug }) {
  return /^(token-.*|session-ended|account-blocked)$/.test(slug);
}

let endSession;

/** What to do when an answer says so; gets the problem. */
export function whenSessionEnds(work) {
  endSession = work;
}

/** Controls whose work is under way, each with a mark of its own. */
const busy = new Map();

/**
 * Runs what a person asked for; whatever goes wrong is said where they look. Meanwhile the control keeps the focus and does nothing
 * else.
 */
export async function attempt(work, control, tell = say) {
  if (busy.has(control)) return;
  const begun = Symbol();
  const refocus = keepingFocus(control);
  if (control) {
    busy.set(control, begun);
    control.ariaBusy = control.ariaDisabled = "true";
  }
  // What nobody asked for takes no words away.
  if (control || tell !== say) tell("");
  try {
    await work();
  } catch (problem) {
    if (problem.left) return;
    if (isOver(problem)) endSession(problem);
    else tell(problem.message, true);
  } finally {
    if (control && busy.get(control) === begun) {
      free(control);
      refocus();
    }
  }
}

export function onSubmit(id, work, tell = say) {
  $(id).addEventListener("submit", (event) => {
    event.preventDefault();
    const form = event.currentTarget;
    void attempt(() => work(Object.fromEntries(new FormData(form)), form), form.querySelector("button"), tell);
  });
}

function free(control) {
  busy.delete(control);
  control.ariaBusy = control.ariaDisabled = null;
}

const leaving = [() => [...busy.keys()].forEach(free)];

/** What a part of the page forgets when the person who was here leaves. */
export function whenLeft(work) {
  leaving.push(work);
}

let pristine;

/** The page as it is now, before anybody is here, is what the next person finds. */
export function rememberPage() {
  pristine = document.body.cloneNode(true);
}

/** Nothing of one person stays for the next: neither what was shown nor what was typed or chosen, nor what the parts remember. */
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
  // Parts with ids of their own, which may be listened to, stay where they are.
  if (!was.querySelector("[id]")) return element.replaceChildren(...was.cloneNode(true).childNodes);
  for (const [i, part] of [...was.children].entries()) if (!part.id) resetElement(element.children[i], part);
}

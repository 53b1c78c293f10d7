/** The dialog before an action: what it affects, for how long, and the reason. */
import { $, isOver, sayIn, whenLeft } from "../app/page.js";
import { call } from "../app/session.js";
import { line, put } from "../app/text.js";

const DAY_MS = 86_400_000;
const dialog = $("act");
const form = $("act-form");
const notify = sayIn("act-notice");
/** The current question. A late answer must not count for a later question. */
let asked;

/**
 * Asks, then runs `work({ reason, until })`. Resolves when that is done, or with undefined if it was cancelled. `until`
 * asks for the end of a block, `word` must be typed to confirm, `reach` is the address that reports what is affected.
 * Throws when the session is over, and for a failure after the dialog was closed.
 */
export function ask({ title, name, work, until = false, needsReason = false, word, reach }) {
  notify("");
  form.reset();
  put($("act-title"), title);
  $("act-reach").textContent = "";
  $("act-until").hidden = !until;
  $("act-word").hidden = word === undefined;
  put($("act-word").querySelector("span"), line`Type "${word ?? ""}" to continue`);
  form.reason.required = needsReason;
  form.word.required = word !== undefined;
  form.querySelector("button").textContent = name;
  setWorking(false);
  dialog.showModal();
  form.reason.focus();
  return new Promise((resolve, reject) => {
    const question = asked = { working: false, callOff: () => resolve(undefined) };
    if (reach) void tellReach(reach, question);
    form.onsubmit = async (event) => {
      event.preventDefault();
      if (question.working) return;
      if (word !== undefined && form.word.value !== word) return notify(line`That is not "${word}".`, true);
      setWorking(question.working = true);
      try {
        const done = await work({ reason: form.reason.value.trim(), until: untilOf(form.until.value) });
        if (asked === question) leave();
        resolve(done ?? true);
      } catch (problem) {
        if (asked === question && !isOver(problem)) return notify(problem.message, true);
        // An ended session is reported on the sign-in page.
        reject(problem);
      } finally {
        question.working = false;
        if (asked === question) setWorking(false);
      }
    };
  });
}

function setWorking(working) {
  // Disabled buttons would lose the focus.
  for (const button of form.querySelectorAll("button")) button.ariaBusy = button.ariaDisabled = working ? "true" : null;
}

/** The end of a number of days, or null for permanent. */
function untilOf(days) {
  return days === "" ? null : new Date(Date.now() + Number(days) * DAY_MS).toISOString();
}

async function tellReach(path, question) {
  try {
    const { pages, posts, followers } = await call("POST", `${path}?dry_run=true`, {
      reason: "-",
      until: untilOf("1"),
    });
    if (asked !== question) return;
    const count = (number, what) => `${number} ${what}${number === 1 ? "" : "s"}`;
    $("act-reach").textContent = `This also hides: ${count(pages, "page")}, ${
      count(posts, "post")
    }. Followers: ${followers}.`;
  } catch (problem) {
    if (asked === question) notify(problem.message, true);
  }
}

/**
 * Ends the question without cancelling work in progress. Called directly, because the `close` event may arrive after
 * the next question.
 */
function leave() {
  const question = asked;
  asked = undefined;
  setWorking(false);
  dialog.close();
  if (question && !question.working) question.callOff();
}

dialog.addEventListener("cancel", (event) => {
  event.preventDefault();
  if (!asked?.working) leave();
});
// The browser may close the dialog on its own.
dialog.addEventListener("close", () => !dialog.open && leave());
$("act-cancel").addEventListener("click", () => asked?.working || leave());

whenLeft(leave);

/** Blocks what is at `path` after a confirmation. */
export function block(path, title) {
  return ask({
    title,
    name: "Block",
    until: true,
    needsReason: true,
    reach: `${path}/block`,
    work: (body) => call("POST", `${path}/block`, body),
  });
}

export function lift(path, title) {
  return ask({
    title,
    name: "Unblock",
    work: ({ reason }) => call("DELETE", `${path}/block${because(reason)}`),
  });
}

/** A reason as a query string, because DELETE has no body. */
export function because(reason) {
  return reason ? `?${new URLSearchParams({ reason })}` : "";
}

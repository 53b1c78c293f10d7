/** The dialog before an act upon somebody or something of theirs: what it touches, for how long, and why. */
import { $, isOver, sayIn, whenLeft } from "../app/page.js";
import { call } from "../app/session.js";
import { line, put } from "../app/text.js";

const DAY_MS = 86_400_000;
const dialog = $("act");
const form = $("act-form");
const tell = sayIn("act-notice");
/** What is asked now: an answer that comes late must not be taken for one to it. */
let asked;

/**
 * Asks, and does `work({ reason, until })`; resolves when that is done, or with undefined where it was called off. `until` and
 * `word` say whether a block's end is asked for, and what must be typed first; `reach` is the address that tells what is touched.
 * Throws where the session is over, and what went wrong after the dialog was closed all the same.
 */
export function ask({ title, name, work, until = false, needsReason = false, word, reach }) {
  tell("");
  form.reset();
  put($("act-title"), title);
  $("act-reach").textContent = "";
  $("act-until").hidden = !until;
  $("act-word").hidden = word === undefined;
  put($("act-word").querySelector("span"), line`Type "${word ?? ""}" to go on`);
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
      if (word !== undefined && form.word.value !== word) return tell(line`That is not "${word}".`, true);
      setWorking(question.working = true);
      try {
        const done = await work({ reason: form.reason.value.trim(), until: untilOf(form.until.value) });
        if (asked === question) leave();
        resolve(done ?? true);
      } catch (problem) {
        if (asked === question && !isOver(problem)) return tell(problem.message, true);
        // Somebody whose session is over is told so at the door.
        reject(problem);
      } finally {
        question.working = false;
        if (asked === question) setWorking(false);
      }
    };
  });
}

function setWorking(working) {
  // What had the focus keeps it.
  for (const button of form.querySelectorAll("button")) button.ariaBusy = button.ariaDisabled = working ? "true" : null;
}

/** A number of days, or none for good. */
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
    $("act-reach").textContent = `Hidden with it: ${count(pages, "page")}, ${
      count(posts, "post")
    }. Followers: ${followers}.`;
  } catch (problem) {
    if (asked === question) tell(problem.message, true);
  }
}

/** What has begun is not called off any more. At once, as the event `close` may come when the next is asked already. */
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
// A browser may close it without asking.
dialog.addEventListener("close", () => !dialog.open && leave());
$("act-cancel").addEventListener("click", () => asked?.working || leave());

whenLeft(leave);

/** A block of what is at `path`, which is asked about first. */
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
    name: "Lift the block",
    work: ({ reason }) => call("DELETE", `${path}/block${because(reason)}`),
  });
}

/** A reason as a query; what takes something away has no body. */
export function because(reason) {
  return reason ? `?${new URLSearchParams({ reason })}` : "";
}

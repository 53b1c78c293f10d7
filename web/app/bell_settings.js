/** Settings of notifications and of emails. Changes are saved at once, one after another. */
import { $, attempt, sayIn, whenLeft } from "./page.js";
import { call } from "./session.js";

const PATH = "/notifications/settings";
const notify = sayIn("bell-notice");
const fields = $("bell-fields");
/** The settings as stored on the server. */
let kept;
/** This person's unsent changes. */
let queue = newQueue();

whenLeft(() => {
  kept = undefined;
  queue = newQueue();
});

function newQueue() {
  return { waiting: 0, last: Promise.resolve() };
}

$("bell-settings").addEventListener("toggle", () => {
  if (!$("bell-settings").open) return;
  fields.disabled = true;
  void attempt(
    async () => {
      fill(await call("GET", PATH));
      fields.disabled = false;
    },
    undefined,
    notify,
  );
});

fields.addEventListener("change", ({ target }) => {
  const change = target.name === "letters" ? { letters: target.value } : { bell: { [target.name]: target.checked } };
  const own = queue;
  own.waiting++;
  own.last = own.last.then(() => own === queue && keep(change, own));
});

async function keep(change, own) {
  await attempt(
    async () => {
      kept = await call("PUT", PATH, change);
      notify("Saved.");
    },
    undefined,
    notify,
  );
  // A rejected change is reset. Unsent changes stay as chosen.
  if (--own.waiting === 0 && own === queue) fill(kept);
}

function fill(settings) {
  kept = settings;
  for (const field of fields.elements) {
    if (field.name === "letters") field.value = settings.letters;
    else field.checked = settings.bell[field.name];
  }
}

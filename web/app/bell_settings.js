/** What one wants to be told, and when letters come. Each change is kept at once. */
import { $, attempt, sayIn } from "./page.js";
import { call } from "./session.js";

const PATH = "/notifications/settings";
const tell = sayIn("bell-notice");
const fields = $("bell-settings").querySelector("fieldset");
/** As the server has them. */
let kept;

export function closeSettings() {
  $("bell-settings").open = false;
}

$("bell-settings").addEventListener("toggle", () => {
  if (!$("bell-settings").open) return;
  fields.disabled = true;
  void attempt(async () => {
    fill(await call("GET", PATH));
    fields.disabled = false;
  }, undefined, tell);
});

fields.addEventListener("change", async ({ target }) => {
  const change = target.name === "letters" ? { letters: target.value } : { bell: { [target.name]: target.checked } };
  await attempt(async () => {
    kept = await call("PUT", PATH, change);
    tell("Saved.");
  }, fields, tell);
  // What was refused is not so.
  fill(kept);
  target.focus();
});

function fill(settings) {
  kept = settings;
  for (const field of fields.elements) {
    if (field.name === "letters") field.value = settings.letters;
    else field.checked = settings.bell[field.name];
  }
}

/** The person's own posts whose photos are in preparation or have failed, with a retry. */
import { arrange } from "./arrange.js";
import { newLongText } from "./long_text.js";
import { $, attempt, whenLeft } from "./page.js";
import { account, call } from "./session.js";

/** Texts for problems of a photo. Other problems are not caused by the picture. */
const PROBLEMS = {
  "no-image": "A picture cannot be read. It may be damaged.",
  "too-many-pixels": "A picture has too many pixels.",
  "staged-missing": "A picture has expired before it was used. Please post it again.",
};
const OTHER_PROBLEM = "Something went wrong. Please try again.";
/** Interval of checks while photos are in preparation. */
const AGAIN_MS = 3_000;
let again;
/** Shown items by post. */
const items = new Map();

export async function readUnready() {
  clearTimeout(again);
  const [failed, processing] = await Promise.all(["failed", "processing"].map(read));
  $("unready").hidden = failed.length + processing.length === 0;
  show([...failed.map((post) => [post, failedItem]), ...processing.map((post) => [post, waitingItem])]);
  if (processing.length > 0) again = setTimeout(() => void attempt(readUnready), AGAIN_MS);
}

whenLeft(() => {
  clearTimeout(again);
  items.clear();
});

/** Unchanged items stay in place and keep the focus and their fold state. */
function show(posts) {
  const before = new Map(items);
  items.clear();
  for (const [post, make] of posts) {
    const { id, state, photos } = post;
    const name = JSON.stringify([id, state, photos.map(({ problem }) => problem)]);
    const item = before.get(name) ?? make(post);
    items.set(name, item);
  }
  arrange($("unready-posts"), [...items.values()]);
}

async function read(state) {
  return (await call("GET", `/pages/${account.page_id}/posts?state=${state}`)).items;
}

function waitingItem({ text }) {
  return itemOf(text, "Its photos are being prepared.");
}

function failedItem({ id, text, photos }) {
  const item = itemOf(text, PROBLEMS[photos.find(({ problem }) => problem)?.problem] ?? OTHER_PROBLEM);
  item.append(
    button("Try again", () => call("POST", `/posts/${id}/retry`)),
    button("Delete", () => call("DELETE", `/posts/${id}`)),
  );
  return item;
}

function itemOf(text, what) {
  const item = document.createElement("li");
  const state = document.createElement("p");
  state.className = "hint";
  state.textContent = what;
  item.append(newLongText(text || "Photos"), state);
  return item;
}

function button(name, work) {
  const made = document.createElement("button");
  made.type = "button";
  made.className = "quiet";
  made.textContent = name;
  made.addEventListener("click", () => attempt(() => work().finally(readUnready), made));
  return made;
}

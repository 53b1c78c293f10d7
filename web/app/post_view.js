/** The view of one post with its replies. */
import { whenDrafted } from "./draft.js";
import { $, attempt, onSubmit, sayIn, whenLeft } from "./page.js";
import { fill, newItem, showLikes, whenOpened } from "./post_item.js";
import { account, call, keyOf, spend } from "./session.js";

const notify = sayIn("post-notice");
const view = $("post-view");
/** The shown post and its replies, by id. */
const items = new Map();
let shown;
let next = null;

whenOpened(openPost);

/** Opens a post, whether or not it is elsewhere on the page. */
export function openPost(id) {
  clear();
  shown = id;
  if (!view.open) view.showModal();
  void attempt(async () => {
    const [post, answers] = await Promise.all([call("GET", `/posts/${id}`), read(id, "")]);
    // Another post was opened meanwhile, or the view was closed.
    if (shown !== id) return;
    add($("post-itself"), post);
    addAnswers(answers);
    $("answer").hidden = false;
  }, undefined, notify);
}

export function closePost() {
  view.close();
}

/** Applies a frame about a post. */
export function takeShown({ type, data }) {
  const item = items.get(data?.id);
  if (!item) return;
  if (type === "post.updated") fill(item, data);
  if (type === "post.likes") showLikes(item, data);
  if (type !== "post.deleted") return;
  if (data.id === shown) closePost();
  else item.remove();
}

view.addEventListener("close", clear);
whenLeft(clear);
// A click beside the post hits the dialog itself.
view.addEventListener("click", ({ target }) => target === view && closePost());
$("post-close").addEventListener("click", closePost);

$("answers-more").addEventListener("click", ({ currentTarget }) =>
  attempt(async () => {
    const id = shown;
    const page = await read(id, `&cursor=${encodeURIComponent(next)}`);
    if (shown === id) addAnswers(page);
  }, currentTarget, notify));

onSubmit("answer", async ({ text }, form) => {
  const reply_to = shown;
  const body = { text, reply_to };
  const key = keyOf("answer", body);
  const answer = await call("POST", `/pages/${account.page_id}/posts`, body, { key });
  spend(key);
  // Text typed meanwhile is kept.
  if (form.elements.text.value === text) form.reset();
  if (shown === reply_to) add($("answers"), answer, { first: true });
}, notify);

whenDrafted(() => {
  const text = $("answer").elements.text.value;
  return shown !== undefined && text !== "" ? { id: shown, text } : undefined;
}, ({ id, text }) => {
  openPost(id);
  $("answer").elements.text.value = text;
});

function read(id, query) {
  return call("GET", `/posts/${id}/replies?limit=20${query}`);
}

function addAnswers(page) {
  for (const answer of page.items) add($("answers"), answer);
  next = page.next_cursor;
  $("answers-more").hidden = next === null;
}

function add(list, post, { first = false } = {}) {
  let item = items.get(post.id);
  if (!item) {
    items.set(post.id, item = newItem(post.id, notify));
    if (first) list.prepend(item);
    else list.append(item);
  }
  fill(item, post);
}

function clear() {
  shown = undefined;
  next = null;
  items.clear();
  notify("");
  $("post-itself").replaceChildren();
  $("answers").replaceChildren();
  $("answers-more").hidden = $("answer").hidden = true;
  $("answer").reset();
}

/** The feed: its pages and its live updates. */
import { arrange } from "./arrange.js";
import { keepingFocus } from "./focus.js";
import { beginAt, holding } from "./live.js";
import { $, attempt, whenLeft } from "./page.js";
import { fill, newItem, showLikes } from "./post_item.js";
import { call } from "./session.js";

const items = new Map();
let next = null;

/** Reads the first page again. */
export function readFeed() {
  return holding(async () => {
    const page = await call("GET", "/feed?limit=20");
    const shown = page.items.map(({ id }) => items.get(id) ?? newItem(id));
    items.clear();
    for (const [i, { id }] of page.items.entries()) items.set(id, shown[i]);
    arrange($("posts"), shown);
    for (const post of page.items) showPost(post);
    beginAt(page.live_cursor);
    next = page.next_cursor;
    showEnds();
  });
}

whenLeft(() => {
  items.clear();
  next = null;
});

/** Applies a frame about a post. */
export function takePost({ type, data }) {
  if (type === "post.created") showPost(data, { first: true });
  if (type === "post.updated" && items.has(data.id)) showPost(data);
  if (type === "post.likes" && items.has(data.id)) showLikes(items.get(data.id), data);
  if (type === "post.deleted") remove(data.id);
}

$("more").addEventListener("click", (event) =>
  attempt(async () => {
    const after = next;
    const page = await call("GET", `/feed?limit=20&cursor=${encodeURIComponent(after)}`);
    // If the feed was read again meanwhile, its end has moved.
    if (after !== next) return;
    for (const post of page.items) showPost(post);
    next = page.next_cursor;
    showEnds();
  }, event.currentTarget));

function showEnds() {
  $("more").hidden = next === null;
  $("empty").hidden = items.size > 0;
}

/** Adds a post or updates the one shown. `first` puts a new one at the top. */
export function showPost(post, { first = false } = {}) {
  let item = items.get(post.id);
  if (!item) {
    items.set(post.id, item = newItem(post.id));
    item.classList.toggle("new", first);
    if (first) $("posts").prepend(item);
    else $("posts").append(item);
  }
  fill(item, post);
  showEnds();
}

function remove(id) {
  const refocus = keepingFocus(items.get(id));
  items.get(id)?.remove();
  items.delete(id);
  refocus();
  showEnds();
}

/** The notification list: the unread count and the notifications, latest first, updated over the socket. */
import { arrange } from "./arrange.js";
import { lineOf } from "./bell_line.js";
import { holding } from "./live.js";
import { $, attempt, sayIn, whenLeft } from "./page.js";
import { openPost } from "./post_view.js";
import { account, call } from "./session.js";
import { put } from "./text.js";

const PAGE_SIZE = 10;
const notify = sayIn("bell-notice");
/** Shown notifications by id. */
const items = new Map();
/** Requests answered here. A list that was read later still shows them as answered. */
const answered = new Set();
let next = null;
/** Number of frames so far. */
let rung = 0;

/** Reads the first page and the count again. */
export function readBell() {
  return holding(async () => {
    const page = await read("");
    const shown = page.items.map(itemOf);
    items.clear();
    for (const [i, { id }] of page.items.entries()) items.set(id, shown[i]);
    arrange($("bell-list"), shown);
    next = page.next_cursor;
    showEnds();
    showCount(page.unread);
  });
}

function read(query) {
  return call("GET", `/notifications?limit=${PAGE_SIZE}${query}`);
}

/** Shows a notification from a frame. One that is already shown moves to the top. */
export function ring({ unread_count, ...notification }) {
  rung++;
  const item = itemOf(notification);
  arrange($("bell-list"), [item, ...[...$("bell-list").children].filter((other) => other !== item)]);
  showCount(unread_count);
  showEnds();
}

/** Shows the unread count after notifications were read elsewhere or withdrawn. */
export function countUnread(unread) {
  rung++;
  if (unread === 0) { for (const item of items.values()) showUnread(item, false); }
  showCount(unread);
}

whenLeft(() => {
  items.clear();
  answered.clear();
  next = null;
});

$("bell").addEventListener("click", () => {
  open($("bell-panel").hidden);
  // Frames have the unread count, but not which notifications were withdrawn.
  if (!$("bell-panel").hidden) void attempt(readBell, undefined, notify);
});

$("bell-older").addEventListener("click", (event) => attempt(readOlder, event.currentTarget, notify));
$("bell-read").addEventListener("click", (event) => attempt(markRead, event.currentTarget, notify));

function readOlder() {
  return holding(async () => {
    const after = next;
    const page = await read(`&cursor=${encodeURIComponent(after)}`);
    // If the list was read again meanwhile, its end has moved.
    if (after === next) showPage(page);
  });
}

/** Marks as read up to the newest that is shown, so that nothing unseen is marked. */
async function markRead() {
  const before = rung;
  await holding(async () => {
    const up_to = $("bell-list").firstElementChild.dataset.cursor;
    const { unread } = await call("POST", "/notifications/read", { up_to });
    for (const item of items.values()) showUnread(item, false);
    showCount(unread);
  });
  // The count of frames received meanwhile may not include this change.
  if (rung !== before) showCount((await call("GET", "/notifications?limit=1")).unread);
}

addEventListener("keydown", ({ key }) => {
  if (key !== "Escape" || $("bell-panel").hidden) return;
  open(false);
  $("bell").focus();
});

addEventListener("click", (event) => {
  const path = event.composedPath();
  if (!path.includes($("bell-panel")) && !path.includes($("bell"))) open(false);
});

function open(shown) {
  $("bell-panel").hidden = !shown;
  $("bell").setAttribute("aria-expanded", String(shown));
}

function showPage(page) {
  for (const notification of page.items) $("bell-list").append(itemOf(notification));
  next = page.next_cursor;
  showEnds();
}

function showEnds() {
  $("bell-older").hidden = next === null;
  $("bell-empty").hidden = items.size > 0;
}

function showCount(unread) {
  // The API's count ends here.
  $("bell-count").textContent = unread >= 1000 ? "999+" : String(unread);
  $("bell-unread").hidden = unread === 0;
  $("bell-read").hidden = unread === 0 || items.size === 0;
}

/** The current item of a notification. */
function itemOf(notification) {
  const { id, kind, at, unread, actors, cursor } = notification;
  let item = items.get(id);
  if (!item) items.set(id, item = newItem(notification));
  const { who, what, quote } = lineOf(notification, account.page_id);
  put(item.querySelector(".who"), who);
  put(item.querySelector(".what"), what);
  put(item.querySelector(".quote"), quote);
  const time = item.querySelector("time");
  time.textContent = new Date(at).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
  time.dateTime = at;
  const picture = item.querySelector("img");
  picture.hidden = !actors[0]?.avatar_url;
  if (!picture.hidden) picture.src = actors[0].avatar_url;
  item.querySelector(".request").hidden = kind !== "request" || actors.length === 0 || answered.has(id);
  item.dataset.cursor = cursor;
  showUnread(item, unread);
  return item;
}

/** Its post can be opened and its request answered in place. */
function newItem({ id, post, page, actors: [actor] }) {
  const item = $("notification").content.firstElementChild.cloneNode(true);
  const show = item.querySelector(".show");
  show.hidden = !post;
  show.addEventListener("click", () => {
    open(false);
    openPost(post.id);
  });
  for (const answer of item.querySelector(".request").children) {
    answer.addEventListener("click", () =>
      attempt(async () => {
        await call("POST", `/pages/${page.id}/requests/${answer.value}`, { user_ids: [actor.id] });
        answered.add(id);
        // The item may have been replaced or removed.
        const now = items.get(id);
        if (now) now.querySelector(".request").hidden = true;
      }, answer, notify));
  }
  return item;
}

function showUnread(item, unread) {
  item.classList.toggle("unread", unread);
  item.querySelector(".mark").hidden = !unread;
}

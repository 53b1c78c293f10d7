/** The feed: its pages, and what the socket brings. What others wrote is shown through textContent only. */
import { beginAt, holding } from "./live.js";
import { $, attempt } from "./page.js";
import { call } from "./session.js";

const items = new Map();
let next = null;

/** The first page anew. */
export function readFeed() {
  return holding(async () => {
    const page = await call("GET", "/feed?limit=20");
    clearFeed();
    for (const post of page.items) showPost(post);
    beginAt(page.live_cursor);
    next = page.next_cursor;
    showEnds();
  });
}

export function clearFeed() {
  items.clear();
  $("posts").replaceChildren();
}

/** What a frame tells of posts. */
export function takePost({ type, data }) {
  if (type === "post.created") showPost(data, { first: true });
  if (type === "post.updated" && items.has(data.id)) showPost(data);
  if (type === "post.likes" && items.has(data.id)) showLikes(items.get(data.id), data);
  if (type === "post.deleted") remove(data.id);
}

$("more").addEventListener("click", (event) =>
  attempt(async () => {
    const page = await call("GET", `/feed?limit=20&cursor=${encodeURIComponent(next)}`);
    for (const post of page.items) showPost(post);
    next = page.next_cursor;
    showEnds();
  }, event.currentTarget));

function showEnds() {
  $("more").hidden = next === null;
  $("empty").hidden = items.size > 0;
}

/** Adds a post or brings the shown one up to date; `first` puts a new one on top. */
export function showPost(post, { first = false } = {}) {
  let item = items.get(post.id);
  if (!item) {
    item = $("post").content.firstElementChild.cloneNode(true);
    item.querySelector(".like").addEventListener("click", (event) => attempt(() => like(post.id), event.currentTarget));
    items.set(post.id, item);
    if (first) {
      item.classList.add("new");
      $("posts").prepend(item);
    } else {
      $("posts").append(item);
    }
  }
  const at = new Date(post.published_at ?? post.created_at);
  item.querySelector(".author").textContent = `${post.author.first_name} ${post.author.last_name}`;
  item.querySelector(".page").textContent = `on ${post.page.name} (@${post.page.uuid})`;
  item.querySelector("time").textContent = at.toLocaleString();
  item.querySelector("time").dateTime = at.toISOString();
  item.querySelector(".text").textContent = post.text;
  const picture = item.querySelector("img.picture");
  picture.hidden = !post.author.avatar_url;
  if (post.author.avatar_url) picture.src = post.author.avatar_url;
  showPhotos(item.querySelector(".photos"), post.photos);
  showLikes(item, post);
  showEnds();
}

function showPhotos(list, photos) {
  list.hidden = photos.length === 0;
  list.replaceChildren(...photos.map(({ url, width, variants, alt }) => {
    const img = document.createElement("img");
    img.src = url;
    img.srcset = [{ url, width }, ...variants].map((size) => `${size.url} ${size.width}w`).join(", ");
    img.sizes = photos.length === 1 ? "22rem" : "11rem";
    img.width = img.height = width;
    img.alt = alt ?? "";
    img.loading = "lazy";
    const item = document.createElement("li");
    item.append(img);
    return item;
  }));
}

/** What comes live is the same for all listeners, so it does not say whether this one likes it. */
function showLikes(item, { like_count, liked }) {
  if (like_count !== undefined) item.querySelector(".count").textContent = String(like_count);
  if (liked !== undefined) item.querySelector(".like").setAttribute("aria-pressed", String(liked));
}

async function like(id) {
  const item = items.get(id);
  const liked = item.querySelector(".like").getAttribute("aria-pressed") !== "true";
  const answer = await call(liked ? "PUT" : "DELETE", `/posts/${id}/like`);
  showLikes(item, { liked, ...answer });
}

function remove(id) {
  items.get(id)?.remove();
  items.delete(id);
  showEnds();
}

/** A post as it is shown, in the feed and by itself. What others wrote is shown through textContent only. */
import { $, attempt } from "./page.js";
import { showPhotos } from "./photos.js";
import { call } from "./session.js";

let openPost;

/** What to do when a person wants to see a post by itself. */
export function whenOpened(open) {
  openPost = open;
}

/** An empty item for the post of this id. */
export function newItem(id, tell) {
  const item = $("post").content.firstElementChild.cloneNode(true);
  item.querySelector(".like").addEventListener("click", ({ currentTarget }) =>
    attempt(() => like(item, id), currentTarget, tell));
  item.querySelector(".answers").addEventListener("click", () => openPost(id));
  return item;
}

export function fill(item, post) {
  const at = new Date(post.published_at ?? post.created_at);
  item.querySelector(".author").textContent = `${post.author.first_name} ${post.author.last_name}`;
  item.querySelector(".page").textContent = `on ${post.page.name} (@${post.page.uuid})`;
  item.querySelector("time").textContent = at.toLocaleString();
  item.querySelector("time").dateTime = at.toISOString();
  item.querySelector(".text").textContent = post.text;
  item.querySelector(".answers .count").textContent = String(post.reply_count);
  const picture = item.querySelector("img.picture");
  picture.hidden = !post.author.avatar_url;
  if (post.author.avatar_url) picture.src = post.author.avatar_url;
  showPhotos(item.querySelector(".photos"), post.photos);
  showLikes(item, post);
}

/** What comes live is the same for all listeners, so it does not say whether this one likes it. */
export function showLikes(item, { like_count, liked }) {
  if (like_count !== undefined) item.querySelector(".like .count").textContent = String(like_count);
  if (liked !== undefined) item.querySelector(".like").setAttribute("aria-pressed", String(liked));
}

async function like(item, id) {
  const liked = item.querySelector(".like").getAttribute("aria-pressed") !== "true";
  const answer = await call(liked ? "PUT" : "DELETE", `/posts/${id}/like`);
  showLikes(item, { liked, ...answer });
}

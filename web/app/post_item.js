/** A post in the feed or in its own view. */
import { learnLikes, toggleLike } from "./likes.js";
import { newLongText, setLongText } from "./long_text.js";
import { $ } from "./page.js";
import { showPhotos } from "./photos.js";
import { foreign, line, put } from "./text.js";

let openPost;

/** Registers the action that opens a post in its own view. */
export function whenOpened(open) {
  openPost = open;
}

/** An empty item for the post of this id. */
export function newItem(id, notify) {
  const item = $("post").content.firstElementChild.cloneNode(true);
  item.dataset.post = id;
  item.querySelector("article > header").after(newLongText());
  item.querySelector(".like").addEventListener("click", () => toggleLike(id, notify));
  item.querySelector(".answers").addEventListener("click", () => openPost(id));
  return item;
}

/** Requires that the item is in the page. */
export function fill(item, post) {
  const at = new Date(post.published_at ?? post.created_at);
  showAuthor(item, post);
  item.querySelector("time").textContent = at.toLocaleString();
  item.querySelector("time").dateTime = at.toISOString();
  setLongText(item.querySelector(".long"), post.text);
  showReplies(item, post.reply_count);
  showPhotos(item.querySelector(".photos"), post.photos);
  showLikes(item, post);
}

/** Sets the author and the page of a post. */
export function showAuthor(item, { author, page }) {
  item.dataset.page = page.id;
  put(item.querySelector(".author"), foreign(`${author.first_name} ${author.last_name}`));
  put(item.querySelector(".page"), line`on ${page.name} (${`@${page.uuid}`})`);
  const picture = item.querySelector("img.picture");
  picture.hidden = !author.avatar_url;
  if (author.avatar_url) picture.src = author.avatar_url;
}

export function showReplies(item, count) {
  item.querySelector(".answers .count").textContent = String(count);
}

export function showLikes(item, likes) {
  learnLikes(item.dataset.post, likes);
}

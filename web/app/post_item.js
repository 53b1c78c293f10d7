/** A post as it is shown, in the feed and by itself. */
import { learnLikes, toggleLike } from "./likes.js";
import { newLongText, setLongText } from "./long_text.js";
import { $ } from "./page.js";
import { showPhotos } from "./photos.js";
import { foreign, line, put } from "./text.js";

let openPost;

/** What to do when a person wants to see a post by itself. */
export function whenOpened(open) {
  openPost = open;
}

/** An empty item for the post of this id. */
export function newItem(id, tell) {
  const item = $("post").content.firstElementChild.cloneNode(true);
  item.dataset.post = id;
  item.querySelector("article > header").after(newLongText());
  item.querySelector(".like").addEventListener("click", () => toggleLike(id, tell));
  item.querySelector(".answers").addEventListener("click", () => openPost(id));
  return item;
}

/** The item stands in the page already. */
export function fill(item, post) {
  const at = new Date(post.published_at ?? post.created_at);
  put(item.querySelector(".author"), foreign(`${post.author.first_name} ${post.author.last_name}`));
  put(item.querySelector(".page"), line`on ${post.page.name} (${`@${post.page.uuid}`})`);
  item.querySelector("time").textContent = at.toLocaleString();
  item.querySelector("time").dateTime = at.toISOString();
  setLongText(item.querySelector(".long"), post.text);
  item.querySelector(".answers .count").textContent = String(post.reply_count);
  const picture = item.querySelector("img.picture");
  picture.hidden = !post.author.avatar_url;
  if (post.author.avatar_url) picture.src = post.author.avatar_url;
  showPhotos(item.querySelector(".photos"), post.photos);
  showLikes(item, post);
}

export function showLikes(item, likes) {
  learnLikes(item.dataset.post, likes);
}

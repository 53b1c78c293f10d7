/** Applies changes made in other tabs or devices, which arrive over the socket, to every place that shows them. */
import { countUnread } from "./bell.js";
import { readFeed } from "./feed.js";
import { learnLikes } from "./likes.js";
import { attempt } from "./page.js";
import { showAuthor, showReplies } from "./post_item.js";

const TAKERS = {
  "notifications.read": ({ unread_count }) => countUnread(unread_count),
  "post.liked": ({ id, liked }) => learnLikes(id, { liked }),
  "post.replies": ({ id, reply_count }) => ofPost(id).forEach((item) => showReplies(item, reply_count)),
  "page.updated": (data) => ofPage(data.page_id).forEach((item) => showAuthor(item, data)),
  "following.changed": ({ state }) => state !== "requested" && void attempt(readFeed),
};

export function takeAgreement({ type, data }) {
  TAKERS[type]?.(data);
}

const ofPost = (id) => document.querySelectorAll(`[data-post="${id}"]`);
const ofPage = (id) => document.querySelectorAll(`[data-page="${id}"]`);

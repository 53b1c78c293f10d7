/** Likes of posts: shown as soon as one presses, and taken back where the server does not have them. */
import { attempt, say, whenLeft } from "./page.js";
import { call } from "./session.js";

/** By post: what the server has, whether the count has the person's own like, and what they want where that is another thing. */
const known = new Map();

whenLeft(() => known.clear());

/** What comes live is the same for all listeners, so it may not say whether this one likes it. */
export function learnLikes(id, { like_count, liked }) {
  const post = stateOf(id);
  if (liked !== undefined) post.liked = liked;
  // While a like is on its way, what is told of it says nothing of the count yet.
  if (like_count !== undefined) Object.assign(post, { count: like_count, counted: post.liked });
  else if (!post.sending) post.counted = post.liked;
  show(id);
}

function stateOf(id) {
  if (!known.has(id)) known.set(id, { count: 0, counted: false, liked: false, wanted: undefined, sending: false });
  return known.get(id);
}

/** The other way round from what is shown. */
export function toggleLike(id, tell = say) {
  const post = stateOf(id);
  post.wanted = !(post.wanted ?? post.liked);
  tell("");
  show(id);
  if (!post.sending) void attempt(() => settle(id, post), undefined, tell);
}

/** Until the server has what is wanted, which may change meanwhile. */
async function settle(id, post) {
  post.sending = true;
  try {
    while ((post.wanted ?? post.liked) !== post.liked) {
      const liked = post.wanted;
      const { like_count } = await call(liked ? "PUT" : "DELETE", `/posts/${id}/like`);
      Object.assign(post, { liked, counted: liked, count: like_count ?? post.count });
    }
  } finally {
    Object.assign(post, { counted: post.liked, wanted: undefined, sending: false });
    show(id);
  }
}

/** In every place where the post is. */
function show(id) {
  // Whoever liked it may have left.
  const { count, counted, liked, wanted = liked, sending } = known.get(id) ?? {};
  if (count === undefined) return;
  for (const item of document.querySelectorAll(`[data-post="${id}"]`)) {
    const button = item.querySelector(".like");
    button.ariaPressed = String(wanted);
    button.ariaBusy = sending ? "true" : null;
    button.querySelector(".count").textContent = String(count + Number(wanted) - Number(counted));
  }
}

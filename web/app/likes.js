/** Likes of posts. They are shown at once and reverted if the server rejects them. */
import { attempt, say, whenLeft } from "./page.js";
import { call } from "./session.js";

/** By post: the server's state, whether the count includes the own like, and what the person wants if it differs. */
const known = new Map();

whenLeft(() => known.clear());

/** Live frames are the same for all listeners, so they do not say whether this one likes the post. */
export function learnLikes(id, { like_count, liked }) {
  const post = stateOf(id);
  if (liked !== undefined) post.liked = liked;
  // While a like is being sent, it is unknown whether the count includes it.
  if (like_count !== undefined) Object.assign(post, { count: like_count, counted: post.liked });
  else if (!post.sending) post.counted = post.liked;
  show(id);
}

function stateOf(id) {
  if (!known.has(id)) known.set(id, { count: 0, counted: false, liked: false, wanted: undefined, sending: false });
  return known.get(id);
}

/** Reverses what is shown. */
export function toggleLike(id, notify = say) {
  const post = stateOf(id);
  post.wanted = !(post.wanted ?? post.liked);
  notify("");
  show(id);
  if (!post.sending) void attempt(() => settle(id, post), undefined, notify);
}

/** Sends until the server has what is wanted, which may change meanwhile. */
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

/** Updates every place that shows the post. */
function show(id) {
  // The person may have left.
  const { count, counted, liked, wanted = liked, sending } = known.get(id) ?? {};
  if (count === undefined) return;
  for (const item of document.querySelectorAll(`[data-post="${id}"]`)) {
    const button = item.querySelector(".like");
    button.ariaPressed = String(wanted);
    button.ariaBusy = sending ? "true" : null;
    button.querySelector(".count").textContent = String(count + Number(wanted) - Number(counted));
  }
}

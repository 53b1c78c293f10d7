import { answerRequests, follow, type FollowState, unfollow } from "../db/follows.ts";
import { expirePageBlock } from "../db/moderation.ts";
import { deletePage, loadPageActor, type PageRow } from "../db/pages.ts";
import { discardPost } from "../db/post_deletion.ts";
import { cropJobs, pageAvatar, type PhotoResult, photoResultRow, retryPhotos, storePhotoResult } from "../db/photos.ts";
import { blockOf } from "../db/blocks.ts";
import type { ActingAccount } from "./moderator.ts";
import { block, blockedPage, unblock } from "./page_blocks.ts";
import type { PageCommand, PageCommands, PageState } from "./page_commands.ts";
import { editPost, likePost, publish, removePost, unlikePost } from "./page_posts.ts";
import { change, changeTags, create } from "./page_profile.ts";
import { type ActorKind, commit, type Decision, type Refuse, refuse, reply, timeOf } from "./runtime/actor.ts";
import { type CommandOf, dispatch, type Handlers } from "./runtime/commands.ts";

export const pageActor: ActorKind<PageState, PageCommand> = {
  name: "page",
  handles: (type) => type === "create" || Object.hasOwn(HANDLERS, type),
  load: async (sql, id) => await loadPageActor(sql, id) ?? null,
  decide,
  // Likes of a popular post and posts of a busy page share a statement. None of them changes the page's state.
  batchKey: (command) => {
    if (command.type === "like" || command.type === "unlike") return `${command.post_id}/${command.by.id}`;
    if (command.type === "create_post") return command.post.id;
    return undefined;
  },
  // The page was hidden or changed, here or through its owner's account: load again.
  absorb: (state, event) => event.kind.startsWith("page.") || event.kind === "user.deleted" ? "drop" : state,
};

function decide(state: PageState, command: PageCommand, now: number): Decision<PageState> {
  if (command.type === "create") return create(state, command, timeOf(now));
  if (!state) return refuse("not-found", "The page does not exist");
  return refusedTo(state, command, now) ?? dispatch(HANDLERS, state, command, now);
}

/** Checks a command to an existing page by caller and block. A command not listed here is for the owner only. */
function refusedTo(state: PageRow, command: ToExisting, now: number): Refuse | undefined {
  switch (command.type) {
    // Sent by the system.
    case "expire_block":
    case "store_photo_result":
    case "store_avatar_result":
    // For staff; the handlers check the role.
    case "block":
    case "unblock":
      return undefined;
  }
  const { by } = command;
  const staff = by.role !== "user";
  const own = state.owner.id === by.id;
  if (command.type === "delete_post" && staff) return undefined;
  // People may withdraw what they gave on a blocked page, too. All else is for staff only.
  const blocked = blockOf(state, now);
  if (blocked && !WITHDRAWS.has(command.type) && (!staff || own)) {
    return { type: "refuse", refusal: blockedPage(blocked, own) };
  }
  if (!own && !FOR_ANYBODY.has(command.type)) return refuse("forbidden", "Only the owner of the page can do this");
  return undefined;
}

const WITHDRAWS: ReadonlySet<PageCommand["type"]> = new Set(["unfollow", "unlike", "discard_post"]);
const FOR_ANYBODY: ReadonlySet<PageCommand["type"]> = new Set(["follow", "unfollow", "like", "unlike"]);

type ToExisting = CommandOf<Omit<PageCommands, "create">>;

const HANDLERS: Handlers<PageState, Omit<PageCommands, "create">, PageRow> = {
  update: (state, { patch }, now) => change(state, patch, timeOf(now)),
  add_tag: (state, command, now) => changeTags(state, command, timeOf(now)),
  remove_tag: (state, command, now) => changeTags(state, command, timeOf(now)),
  delete: (state, _, now) => {
    if (state.is_personal) return refuse("personal-page");
    return commit(deletePage, { id: state.id, at: timeOf(now) }, () => ({ value: null, state: "drop" }));
  },
  follow: (state, { by }, now) => startFollowing(state, by, timeOf(now)),
  unfollow: (state, { by }, now) =>
    commit(
      unfollow,
      { page_id: state.id, user_id: by.id, loses_sight: false, at: timeOf(now) },
      () => ({ value: { state: "none" } }),
    ),
  remove_follower: (state, { user_id }, now) =>
    commit(
      unfollow,
      { page_id: state.id, user_id, loses_sight: state.is_private, at: timeOf(now) },
      ({ had }) =>
        had === "none"
          ? { refusal: { code: "not-found", detail: "The account does not follow this page" } }
          : { value: null },
    ),
  answer_requests: (state, command, now) => answer(state, command, timeOf(now)),
  create_post: (state, { post }, now) => publish(state, post, timeOf(now)),
  update_post: (state, command, now) => editPost(state, command, timeOf(now)),
  retry_photos: (state, { post_id: id }, now) =>
    commit(
      retryPhotos,
      { id, page_id: state.id, at: timeOf(now) },
      ({ retried }) =>
        retried.length > 0
          ? { value: null, jobs: cropJobs(retried) }
          : { refusal: { code: "nothing-to-retry", detail: "No photo of this post can be retried" } },
    ),
  // The result of a crop. A block does not change it.
  store_photo_result: (_, { photo }, now) =>
    commit(storePhotoResult, photoResultRow(photo, timeOf(now)), ({ found }) => ({ value: { found } })),
  stage_avatar: (state, { photo }, now) =>
    commit(
      pageAvatar.stage,
      { id: state.id, photos: [photo], at: timeOf(now) },
      ({ staged }) => staged ? { value: null, jobs: cropJobs([photo.id]) } : { refusal: { code: "upload-expired" } },
    ),
  store_avatar_result: (state, { photo }, now) => storeAvatarResult(state, photo, timeOf(now)),
  remove_avatar: (state, _, now) =>
    commit(
      pageAvatar.remove,
      { id: state.id, at: timeOf(now) },
      () => ({ value: null, state: { ...state, avatar_key: null } }),
    ),
  delete_post: (state, command, now) => removePost(state, command, timeOf(now)),
  discard_post: (state, { post_id: id }) =>
    commit(discardPost, { id, page_id: state.id }, ({ discarded }) => ({ value: { discarded } })),
  like: (state, command, now) => likePost(state, command, timeOf(now)),
  unlike: (state, command, now) => unlikePost(state, command, timeOf(now)),
  block: (state, command, now) => block(state, command, timeOf(now)),
  unblock: (state, command, now) => unblock(state, command, timeOf(now)),
  expire_block: (state, _, now) => {
    if (state.blocked_until === null || Date.parse(state.blocked_until) > now || state.blocked_until === "infinity") {
      return reply(null);
    }
    return commit(expirePageBlock, { id: state.id, at: timeOf(now) }, () => ({ value: null, state: "drop" }));
  },
};

function startFollowing(state: PageRow, by: ActingAccount, at: string): Decision<PageState, { state: FollowState }> {
  if (state.owner.id === by.id) return refuse("own-page");
  const wanted: FollowState = state.is_private ? "requested" : "following";
  return commit(
    follow,
    { page_id: state.id, user_id: by.id, state: wanted, at },
    ({ state: now }) => ({ value: { state: now } }),
  );
}

function answer(
  state: PageRow,
  { accept, user_ids }: CommandOf<PageCommands, "answer_requests">,
  at: string,
): Decision<PageState, number> {
  const row = { page_id: state.id, user_ids: user_ids && [...new Set(user_ids)], accept, at };
  return commit(answerRequests, row, ({ strangers, answered }) => {
    if (strangers.length === 0) return { value: answered };
    const errors = strangers.map((id) => ({
      path: `user_ids.${user_ids?.indexOf(id) ?? 0}`,
      rule: "requested",
      message: `"${id}" has not requested to follow`,
    }));
    return { refusal: { code: "not-requested", detail: `No follow request from: ${strangers.join(", ")}`, errors } };
  });
}

function storeAvatarResult(state: PageRow, photo: PhotoResult, at: string): Decision<PageState, null> {
  return commit(
    pageAvatar.storeResult,
    { ...photoResultRow(photo, at), owner: state.id },
    ({ key }) => key === null ? { value: null } : { value: null, state: { ...state, avatar_key: key } },
  );
}

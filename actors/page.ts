import { answerRequests, follow, type FollowState, unfollow } from "../db/follows.ts";
import { expirePageBlock } from "../db/moderation.ts";
import { createPage, deletePage, loadPageActor, type PageRow, updatePage } from "../db/pages.ts";
import { discardPost } from "../db/posts.ts";
import { cropJobs, pageAvatar, type PhotoResult, photoResultRow, retryPhotos, storePhotoResult } from "../db/photos.ts";
import { blockOf } from "../db/blocks.ts";
import type { ActingAccount } from "./moderator.ts";
import { blockedPage, moderate } from "./page_blocks.ts";
import { editPost, likePost, publish, removePost, unlikePost } from "./page_posts.ts";
import { type ActorKind, commit, type Decision, refuse, reply } from "./runtime/actor.ts";
import { foldTag, isSameTag, TAG_RULE } from "../contract/tags.ts";
import type { PageCommand, PagePatch, PageState } from "./page_commands.ts";

/** Tags a page may have (`docs/limits.md`). */
export const MAX_TAGS = 30;

export const pageActor: ActorKind<PageState, PageCommand> = {
  name: "page",
  load: async (sql, id) => await loadPageActor(sql, id) ?? null,
  decide,
  // Likes of a hot post, and posts of a busy page, share a statement; none of them changes what is kept here.
  batchKey: (command) => {
    if (command.type === "like" || command.type === "unlike") return `${command.post_id}/${command.by.id}`;
    if (command.type === "create_post") return command.post.id;
    return undefined;
  },
  // Whatever hid or changed the page, here or by its owner's account: look again.
  absorb: (state, event) => event.kind.startsWith("page.") || event.kind === "user.deleted" ? "drop" : state,
};

function decide(state: PageState, command: PageCommand, now: number): Decision<PageState> {
  if (command.type === "create") return create(state, command, now);
  if (!state) return refuse("not-found", "There is no such page");
  const at = new Date(now).toISOString();
  if (command.type === "expire_block") {
    if (state.blocked_until === null || Date.parse(state.blocked_until) > now || state.blocked_until === "infinity") {
      return reply(null);
    }
    return commit(expirePageBlock, { id: state.id, at }, () => ({ value: null, state: "drop" }));
  }
  // What the crop made; a block changes nothing about it.
  if (command.type === "store_photo_result") {
    return commit(storePhotoResult, photoResultRow(command.photo, at), ({ found }) => ({ value: { found } }));
  }
  if (command.type === "store_avatar_result") return storeAvatarResult(state, command.photo, at);
  const { by } = command;
  const staff = by.role !== "user";
  if (command.type === "block" || command.type === "unblock") return moderate(state, command, at);
  if (command.type === "delete_post" && staff) return removePost(state, command, at);
  // Withdrawing what one gave is possible on a blocked page too; everything else there is closed to all but staff.
  const block = blockOf(state, now);
  const withdraws = ["unfollow", "unlike", "discard_post"].includes(command.type);
  if (block && !withdraws && (!staff || state.owner.id === by.id)) {
    return { type: "refuse", refusal: blockedPage(block, state.owner.id === by.id) };
  }
  switch (command.type) {
    case "follow":
      return startFollowing(state, by, at);
    case "unfollow":
      return commit(
        unfollow,
        { page_id: state.id, user_id: by.id, loses_sight: false, at },
        () => ({ value: { state: "none" } }),
      );
    case "like":
      return likePost(state, command, at);
    case "unlike":
      return unlikePost(state, command, at);
  }
  if (state.owner.id !== by.id) return refuse("forbidden", "Only the page's owner may do that");
  switch (command.type) {
    case "update":
      return update(state, command.patch, at);
    case "add_tag":
    case "remove_tag":
      return changeTags(state, command, at);
    case "delete":
      if (state.is_personal) return refuse("personal-page");
      return commit(deletePage, { id: state.id, at }, () => ({ value: null, state: "drop" }));
    case "remove_follower":
      return commit(
        unfollow,
        { page_id: state.id, user_id: command.user_id, loses_sight: state.is_private, at },
        ({ had }) =>
          had === "none" ? { refusal: { code: "not-found", detail: "They do not follow this page" } } : { value: null },
      );
    case "answer_requests":
      return answer(state, command, at);
    case "create_post":
      return publish(state, command.post, at);
    case "update_post":
      return editPost(state, command, at);
    case "retry_photos":
      return commit(
        retryPhotos,
        { id: command.post_id, page_id: state.id, at },
        ({ retried }) =>
          retried.length > 0
            ? { value: null, jobs: cropJobs(retried) }
            : { refusal: { code: "nothing-to-retry", detail: "No photo of this post can be tried again" } },
      );
    case "stage_avatar":
      return commit(
        pageAvatar.stage,
        { id: state.id, photos: [command.photo], at },
        ({ staged }) =>
          staged ? { value: null, jobs: cropJobs([command.photo.id]) } : { refusal: { code: "upload-expired" } },
      );
    case "remove_avatar":
      return commit(
        pageAvatar.remove,
        { id: state.id, at },
        () => ({ value: null, state: { ...state, avatar_key: null } }),
      );
    case "delete_post":
      return removePost(state, command, at);
    case "discard_post":
      return commit(
        discardPost,
        { id: command.post_id, page_id: state.id },
        ({ discarded }) => ({ value: { discarded } }),
      );
  }
}

function create(
  state: PageState,
  { by, page }: Extract<PageCommand, { type: "create" }>,
  now: number,
): Decision<PageState> {
  if (state) return refuse("uuid-taken");
  const at = new Date(now).toISOString();
  return commit(createPage, { ...page, owner_id: by.id, at }, ({ taken, owner }) => {
    if (taken) return { refusal: { code: "uuid-taken", detail: `The handle "${page.uuid}" is taken` } };
    if (!owner) return { refusal: { code: "token-invalid" } };
    const created: PageRow = {
      ...page,
      is_personal: false,
      blocked_until: null,
      blocked_reason: null,
      owner_blocked_until: null,
      created_at: at,
      avatar_key: null,
      owner,
    };
    return { value: { ...created, follower_count: 0, post_count: 0, follow_state: "none" }, state: created };
  });
}

function update(state: PageRow, patch: PagePatch, at: string): Decision<PageState> {
  return change(state, patch, at);
}

function change(state: PageRow, patch: PagePatch & { tags?: string[] }, at: string): Decision<PageState> {
  const next = { ...state, ...patch };
  const row = {
    id: state.id,
    owner_id: state.owner.id,
    uuid: next.uuid,
    old_uuid: state.uuid,
    name: next.name,
    description: next.description,
    tags: next.tags,
    is_private: next.is_private,
    was_private: state.is_private,
    at,
  };
  return commit(
    updatePage,
    row,
    ({ taken }) =>
      taken
        ? { refusal: { code: "uuid-taken", detail: `The handle "${next.uuid}" is taken` } }
        : { value: null, state: next },
  );
}

/** What is stored is always taken again, also where an older rule stored it. */
function changeTags(
  state: PageRow,
  { type, tag: given }: Extract<PageCommand, { type: "add_tag" | "remove_tag" }>,
  at: string,
): Decision<PageState> {
  if (state.tags.some((stored) => isSameTag(stored, given))) {
    if (type === "add_tag") return reply(null);
    return change(state, { tags: state.tags.filter((stored) => !isSameTag(stored, given)) }, at);
  }
  const tag = foldTag(given);
  if (tag === undefined) return refuse("validation", undefined, [{ path: "tag", rule: "tag", message: TAG_RULE }]);
  if (type === "remove_tag") return reply(null);
  if (state.tags.length >= MAX_TAGS) {
    return refuse("validation", `A page has at most ${MAX_TAGS} tags`, [
      { path: "tag", rule: "max_items", message: `Expected at most ${MAX_TAGS} tags, and there are as many` },
    ]);
  }
  return change(state, { tags: [...state.tags, tag] }, at);
}

function startFollowing(state: PageRow, by: ActingAccount, at: string): Decision<PageState> {
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
  { accept, user_ids }: Extract<PageCommand, { type: "answer_requests" }>,
  at: string,
): Decision<PageState> {
  const row = { page_id: state.id, user_ids: user_ids && [...new Set(user_ids)], accept, at };
  return commit(answerRequests, row, ({ strangers, answered }) => {
    if (strangers.length === 0) return { value: answered };
    const errors = strangers.map((id) => ({
      path: `user_ids.${user_ids?.indexOf(id) ?? 0}`,
      rule: "requested",
      message: `"${id}" did not ask to follow`,
    }));
    return { refusal: { code: "not-requested", detail: `Did not ask to follow: ${strangers.join(", ")}`, errors } };
  });
}

function storeAvatarResult(state: PageRow, photo: PhotoResult, at: string): Decision<PageState> {
  return commit(
    pageAvatar.storeResult,
    { ...photoResultRow(photo, at), owner: state.id },
    ({ key }) => key === null ? { value: null } : { value: null, state: { ...state, avatar_key: key } },
  );
}

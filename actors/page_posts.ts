import { like, unlike } from "../db/likes.ts";
import type { PageRow } from "../db/pages.ts";
import { cropJobs, type NewPhoto, type PhotoRow } from "../db/photos.ts";
import { deletePost } from "../db/post_deletion.ts";
import {
  createPhotoPost,
  createPost,
  type CreatePostResult,
  createReply,
  type PostRow,
  updatePost,
} from "../db/posts.ts";
import { renderPost } from "../contract/render.ts";
import { byRow } from "./moderator.ts";
import type { NewPost, PageCommands, PageState } from "./page_commands.ts";
import { commit, type Decision, type Outcome } from "./runtime/actor.ts";
import type { CommandOf } from "./runtime/commands.ts";

/**
 * Replies with the post as its author sees it, as JSON text: only the caller reads it, and text is cheap to transfer.
 */
export function publish(state: PageRow, post: NewPost, at: string): Decision<PageState, string> {
  const { id, text, tagged, place, reply_to, photos } = post;
  const row = { id, page_id: state.id, author_id: state.owner.id, text, tagged, place, reply_to, at };
  const outcome = ({ open, original, reply_page_id, published_at }: CreatePostResult): Outcome<PageState, string> => {
    if (!open) return { refusal: { code: "page-blocked" } };
    if (!original) {
      return { refusal: { code: "not-found", detail: `The post to reply to does not exist: "${reply_to}"` } };
    }
    const ready = photos.length === 0;
    const created: PostRow = {
      id,
      page_id: state.id,
      page_uuid: state.uuid,
      page_name: state.name,
      page_avatar_key: state.avatar_key,
      author: state.owner,
      text,
      photos: photos.map(awaited),
      tagged_users: post.tagged_logins,
      place,
      reply_to,
      reply_page_id,
      reply_visible: reply_to !== null,
      like_count: 0,
      reply_count: 0,
      liked: false,
      state: ready ? "ready" : "processing",
      published_at,
      created_at: at,
      updated_at: at,
    };
    return { value: JSON.stringify(renderPost(created)), jobs: cropJobs(photos.map((photo) => photo.id)) };
  };
  if (photos.length === 0) return commit(reply_to === null ? createPost : createReply, row, outcome);
  return commit(
    createPhotoPost,
    { ...row, photos },
    (result) => result.staged ? outcome(result) : { refusal: { code: "upload-expired" } },
  );
}

/** A photo as its author sees it before it is cropped. */
function awaited({ id, key, alt }: NewPhoto): PhotoRow {
  return { id, key, alt, state: "processing", problem: null, side: null, variants: [], placeholder: null };
}

export function editPost(
  state: PageRow,
  command: CommandOf<PageCommands, "update_post">,
  at: string,
): Decision<PageState, null> {
  const { post_id: id, text = null, tagged = null, place = null, photos = null } = command;
  const row = { id, page_id: state.id, text, tagged, place, clear_place: command.place === null, photos, at };
  return commit(updatePost, row, ({ found, unknown, empty }) => {
    if (!found) return { refusal: { code: "not-found", detail: "The post does not exist" } };
    const errors = unknown.map((photo) => ({
      path: `photos.${photos?.indexOf(photo) ?? 0}`,
      rule: "exists",
      message: `The post has no photo "${photo}"`,
    }));
    if (empty) errors.push({ path: "text", rule: "required", message: "Expected text, as the post has no photo" });
    return errors.length === 0 ? { value: null } : { refusal: { code: "validation", errors } };
  });
}

export function removePost(
  state: PageRow,
  { by, post_id: id, reason }: CommandOf<PageCommands, "delete_post">,
  at: string,
): Decision<PageState, null> {
  return commit(
    deletePost,
    { id, page_id: state.id, moderated: by.id !== state.owner.id, at, ...byRow(by, reason) },
    ({ found }) => found ? { value: null } : { refusal: { code: "not-found", detail: "The post does not exist" } },
  );
}

/** Stores a like. A repeated one changes nothing. */
export function likePost(
  state: PageRow,
  { by, post_id }: CommandOf<PageCommands, "like">,
  at: string,
): Decision<PageState, { liked: true; like_count: number }> {
  return commit(
    like,
    { post_id, page_id: state.id, user_id: by.id, at },
    (result) =>
      result
        ? { value: { liked: true, like_count: result.like_count } }
        : { refusal: { code: "not-found", detail: "The post does not exist" } },
  );
}

/** Removes a like. A missing one is not an error. */
export function unlikePost(
  state: PageRow,
  { by, post_id }: CommandOf<PageCommands, "unlike">,
  at: string,
): Decision<PageState, { liked: false; like_count: number | null }> {
  return commit(
    unlike,
    { post_id, page_id: state.id, user_id: by.id, at },
    ({ like_count }) => ({ value: { liked: false, like_count } }),
  );
}

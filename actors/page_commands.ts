import type { FollowState } from "../db/follows.ts";
import type { Reach } from "../db/moderation.ts";
import type { PageRow, ShownPageRow } from "../db/pages.ts";
import type { NewPhoto, PhotoResult } from "../db/photos.ts";
import type { ActingAccount } from "./moderator.ts";
import type { CommandOf } from "./runtime/commands.ts";

export interface NewPage {
  id: string;
  uuid: string;
  name: string;
  description: string;
  tags: string[];
  is_private: boolean;
}

/** Missing fields stay unchanged. */
export interface PagePatch {
  name?: string | undefined;
  uuid?: string | undefined;
  description?: string | undefined;
  is_private?: boolean | undefined;
}

export interface NewPost {
  id: string;
  text: string;
  tagged: string[];
  tagged_logins: string[];
  place: string | null;
  reply_to: string | null;
  photos: readonly NewPhoto[];
}

/** Missing fields stay unchanged. */
export interface PostPatch {
  text?: string | undefined;
  tagged?: string[] | undefined;
  place?: string | null | undefined;
  /** The photos to keep, in their order. */
  photos?: string[] | undefined;
}

interface By {
  by: ActingAccount;
}
interface OfPost extends By {
  post_id: string;
}

export interface PageCommands {
  create: { command: By & { page: NewPage }; reply: ShownPageRow };
  update: { command: By & { patch: PagePatch }; reply: null };
  add_tag: { command: By & { tag: string }; reply: null };
  remove_tag: { command: By & { tag: string }; reply: null };
  delete: { command: By; reply: null };
  follow: { command: By; reply: { state: FollowState } };
  unfollow: { command: By; reply: { state: "none" } };
  remove_follower: { command: By & { user_id: string }; reply: null };
  /** All requesters if no user is named. Replies with their number. */
  answer_requests: { command: By & { accept: boolean; user_ids: string[] | null }; reply: number };
  /** Replies with the post as its author sees it, as JSON. */
  create_post: { command: By & { post: NewPost }; reply: string };
  update_post: { command: OfPost & PostPatch; reply: null };
  retry_photos: { command: OfPost; reply: null };
  store_photo_result: { command: { photo: PhotoResult }; reply: { found: boolean } };
  stage_avatar: { command: By & { photo: NewPhoto }; reply: null };
  store_avatar_result: { command: { photo: PhotoResult }; reply: null };
  remove_avatar: { command: By; reply: null };
  delete_post: { command: OfPost & { reason?: string | undefined }; reply: null };
  /** Discards a new post whose photos cannot be decoded, while the request that created it still waits. */
  discard_post: { command: OfPost; reply: { discarded: boolean } };
  like: { command: OfPost; reply: { liked: true; like_count: number } };
  /** Null if the caller may not see the post. */
  unlike: { command: OfPost; reply: { liked: false; like_count: number | null } };
  /** A dry run replies with what a block would affect. */
  block: { command: By & { reason: string; until: string; job: string; dry_run: boolean }; reply: Reach | null };
  unblock: { command: By & { reason?: string | undefined }; reply: null };
  expire_block: { command: Record<never, never>; reply: null };
}

export type PageCommand = CommandOf<PageCommands>;

/** Null for a page that does not exist. */
export type PageState = PageRow | null;

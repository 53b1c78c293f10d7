import type { PageRow } from "../db/pages.ts";
import type { NewPhoto, PhotoResult } from "../db/photos.ts";
import type { ActingAccount } from "./moderator.ts";

export interface PagePatch {
  name?: string;
  uuid?: string;
  description?: string;
  is_private?: boolean;
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

export type PageCommand =
  | {
    type: "create";
    by: ActingAccount;
    page: { id: string; uuid: string; name: string; description: string; tags: string[]; is_private: boolean };
  }
  | { type: "update"; by: ActingAccount; patch: PagePatch }
  | { type: "add_tag" | "remove_tag"; by: ActingAccount; tag: string }
  | { type: "delete"; by: ActingAccount }
  | { type: "follow" | "unfollow"; by: ActingAccount }
  | { type: "remove_follower"; by: ActingAccount; user_id: string }
  | { type: "answer_requests"; by: ActingAccount; accept: boolean; user_ids: string[] | null }
  | { type: "create_post"; by: ActingAccount; post: NewPost }
  | {
    type: "update_post";
    by: ActingAccount;
    post_id: string;
    text?: string;
    tagged?: string[];
    place?: string | null;
    /** Those that stay, in their order. */
    photos?: string[];
  }
  | { type: "retry_photos"; by: ActingAccount; post_id: string }
  | { type: "store_photo_result"; photo: PhotoResult }
  | { type: "stage_avatar"; by: ActingAccount; photo: NewPhoto }
  | { type: "store_avatar_result"; photo: PhotoResult }
  | { type: "remove_avatar"; by: ActingAccount }
  | { type: "delete_post"; by: ActingAccount; post_id: string; reason?: string }
  /** A new post whose photos cannot be decoded, while the request that made it still waits. */
  | { type: "discard_post"; by: ActingAccount; post_id: string }
  | { type: "like"; by: ActingAccount; post_id: string }
  | { type: "unlike"; by: ActingAccount; post_id: string }
  | { type: "block"; by: ActingAccount; reason: string; until: string; job: string; dry_run: boolean }
  | { type: "unblock"; by: ActingAccount; reason?: string }
  | { type: "expire_block" };

/** Null for a page that never was or is gone. */
export type PageState = PageRow | null;

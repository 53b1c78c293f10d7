/** The methods in use, with the expected parts of their responses. Everything else may be missing or different. */
import { z } from "zod";
import type { VkParams } from "./params.ts";

/** A call before it is sent: alone, or with others in one `execute`. */
export interface Call<T> {
  method: string;
  params: VkParams;
  answer: z.ZodType<T>;
}

/** A missing or malformed value is unknown; it is never 0 or "no". */
function known<T extends z.ZodType>(schema: T) {
  return schema.optional().catch(undefined);
}

const count = known(z.int().nonnegative());

export const UserRow = z.object({
  id: z.int(),
  first_name: z.string().catch(""),
  last_name: z.string().catch(""),
  deactivated: known(z.string()),
  is_closed: known(z.boolean()),
  can_access_closed: known(z.boolean()),
  online: known(z.union([z.literal(0), z.literal(1)])),
  online_info: known(z.object({ visible: known(z.boolean()), is_online: known(z.boolean()) })),
  status: known(z.string()),
  followers_count: count,
  /** For a single user only and, according to the documents, only with a user's token. */
  counters: known(z.object({ videos: count, followers: count })),
});
export type UserRow = z.output<typeof UserRow>;

export const VideoRow = z.object({
  id: z.int(),
  owner_id: z.int(),
  title: z.string().catch(""),
  description: z.string().catch(""),
  duration: count,
  date: count,
  views: count,
  player: known(z.string()),
  image: known(z.array(z.object({ url: z.string(), width: z.int() }))),
});
export type VideoRow = z.output<typeof VideoRow>;

/** `count` is the total; `items` may be fewer than requested, since hidden ones are omitted. */
function pageOf<T extends z.ZodType>(item: T) {
  return z.object({ count: z.int().nonnegative(), items: z.array(item) });
}

const Resolved = z.union([z.object({ type: z.string(), object_id: z.int() }), z.array(z.unknown()), z.null()])
  .transform((value) => value === null || Array.isArray(value) ? undefined : value);

export const users = {
  /** The response may be shorter than the request and in another order. Without ids it is the owner of the token. */
  get: (params: { user_ids?: readonly (string | number)[] | undefined; fields?: readonly string[] }) =>
    call("users.get", params, z.array(UserRow)),
};

export const wall = {
  /** By `owner_id` or by `domain`, a screen name; without either the owner of the token. */
  get: (params: { owner_id?: number | undefined; domain?: string | undefined; offset?: number; count?: number }) =>
    call("wall.get", params, pageOf(z.unknown())),
};

export const video = {
  /** For a user's token only. */
  get: (params: { owner_id?: number | undefined; offset?: number; count?: number }) =>
    call("video.get", params, pageOf(VideoRow)),
};

export const utils = {
  /** Undefined if no user has the name. */
  resolveScreenName: (params: { screen_name: string }) => call("utils.resolveScreenName", params, Resolved),
  /** Seconds. */
  getServerTime: (_params?: void) => call("utils.getServerTime", {}, z.int()),
};

function call<T>(method: string, params: VkParams, answer: z.ZodType<T>): Call<T> {
  return { method, params, answer };
}

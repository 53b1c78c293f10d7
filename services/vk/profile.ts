import type { VkFailure, VkResult } from "./errors.ts";
import type { UserRow } from "./methods.ts";
import type { TokenKind } from "../../db/vk_tokens.ts";

/** Why something about a VK user is unknown. */
export const REASONS = [
  "wall-hidden",
  "wall-disabled",
  "wall-members-only",
  "videos-hidden",
  "online-hidden",
  "profile-private",
  "user-deleted",
  "user-banned",
  "user-token-required",
  "permission-missing",
  "content-blocked",
  "limit-reached",
  "vk-failing",
  "not-told",
] as const;
export type Reason = typeof REASONS[number];

/** A VK user as the owner of a token sees them. What VK hides or omits is null with a reason, and never 0. */
export interface Profile {
  id: string;
  first_name: string;
  last_name: string;
  status: "online" | "offline" | null;
  status_text: string | null;
  videos: number | null;
  followers: number | null;
  posts: number | null;
  unavailable: { [Field in Hideable]?: Reason };
}
type Hideable = "status" | "status_text" | "videos" | "followers" | "posts";

interface Counted {
  count: number;
}

/** The responses of VK about one user. */
export interface VkResponses {
  user: UserRow;
  wall: VkResult<Counted>;
  /** Undefined if it was not requested: this token may not, or the counters are used. */
  videos: VkResult<Counted> | undefined;
}

export function profileOf({ user, wall, videos }: VkResponses, kind: TokenKind): Profile {
  const { counters } = user;
  const hides = hidesAs(user);
  const gone = user.deactivated !== undefined;
  const untold = hides ?? "not-told";
  const unavailable: Profile["unavailable"] = {};
  const known = <T>(field: Hideable, value: T | undefined, reason: Reason): T | null => {
    if (value !== undefined) return value;
    unavailable[field] = reason;
    return null;
  };
  const posts = gone || !wall.ok ? undefined : wall.value.count;
  const count = gone ? undefined : counters?.videos ?? (videos?.ok ? videos.value.count : undefined);
  return {
    id: String(user.id),
    first_name: user.first_name,
    last_name: user.last_name,
    status: known(
      "status",
      gone ? undefined : statusOf(user),
      user.online_info?.visible === false ? "online-hidden" : untold,
    ),
    status_text: known("status_text", gone ? undefined : user.status, untold),
    videos: known(
      "videos",
      count,
      kind === "service" && !gone ? "user-token-required" : hides ?? reasonOf(videos, "videos-hidden"),
    ),
    followers: known("followers", gone ? undefined : user.followers_count ?? counters?.followers, untold),
    posts: known("posts", posts, gone ? untold : reasonOf(wall, "wall-hidden")),
    unavailable,
  };
}

/** Why a list of videos was refused; undefined if the cause is not visibility. */
export function hiddenVideos(user: UserRow, failure: VkFailure): Reason | undefined {
  const reason = hidesAs(user) ?? reasonOf({ ok: false, failure }, "videos-hidden");
  return ["vk-failing", "limit-reached", "not-told"].includes(reason) ? undefined : reason;
}

/** Hiding the last visit hides the online status too. */
function statusOf({ online, online_info }: UserRow): "online" | "offline" | undefined {
  if (online_info?.visible === false) return undefined;
  const is = online_info?.is_online ?? (online === undefined ? undefined : online === 1);
  return is === undefined ? undefined : is ? "online" : "offline";
}

/** Why only the name is visible. */
function hidesAs({ deactivated, is_closed, can_access_closed }: UserRow): Reason | undefined {
  if (deactivated !== undefined) return deactivated === "banned" ? "user-banned" : "user-deleted";
  return is_closed === true && can_access_closed !== true ? "profile-private" : undefined;
}

function reasonOf(result: VkResult<unknown> | undefined, denied: Reason): Reason {
  if (!result || result.ok) return "not-told";
  const { kind, message } = result.failure;
  switch (kind) {
    case "denied":
      return denialIn(message) ?? denied;
    case "profile-private":
    case "content-blocked":
    case "permission-missing":
    case "user-token-required":
      return kind;
    case "token-kind":
      return "user-token-required";
    case "user-gone":
      return "user-deleted";
    case "quota":
    case "flood":
      return "limit-reached";
    case "failing":
    case "too-fast":
    case "unreachable":
    case "busy":
      return "vk-failing";
    default:
      return "not-told";
  }
}

/** One code has many causes; only the message distinguishes them. */
function denialIn(message: string): Reason | undefined {
  if (/hid (his|her|their) wall/i.test(message)) return "wall-hidden";
  if (/wall is disabled/i.test(message)) return "wall-disabled";
  if (/only for community members/i.test(message)) return "wall-members-only";
  return undefined;
}

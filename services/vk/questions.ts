import type { CallOptions, Vk } from "./client.ts";
import type { VkFailure, VkResult } from "./errors.ts";
import { type UserRow, users, video, wall } from "./methods.ts";
import { hiddenVideos, type Profile, profileOf, type Reason } from "./profile.ts";
import type { TokenKind } from "../../db/vk_tokens.ts";
import type { Target } from "./target.ts";
import { type Video, videoOf } from "./videos.ts";

/** VK refused, or did not answer. */
export class Refused extends Error {
  override readonly name = "Refused";
  constructor(readonly failure: VkFailure) {
    super(failure.kind);
  }
}

export interface VideoPage {
  /** The total; hidden ones are in no page. */
  count: number | null;
  items: Video[];
  unavailable: { videos?: Reason };
}

const FIELDS = ["online", "online_info", "status", "followers_count", "counters"];

/** The owner of a screen name. Throws `Refused`, like all functions here. */
export async function askId(vk: Vk, name: string, options: CallOptions): Promise<number> {
  const found = allowed(await vk.utils.resolveScreenName({ screen_name: name }, options));
  // Communities and apps have names too.
  if (found?.type !== "user") {
    throw new Refused({ kind: "not-found", code: 0, message: "No user has this screen name" });
  }
  return found.object_id;
}

/** One request; a second one only for a user by name whose counters lack videos. */
export async function askProfile(
  vk: Vk,
  kind: TokenKind,
  target: Target,
  options: CallOptions,
): Promise<Profile> {
  const named = target.by === "me" ? undefined : [target.by === "id" ? target.id : target.name];
  const owner_id = target.by === "id" ? target.id : undefined;
  const asked = [
    users.get({ user_ids: named, fields: FIELDS }),
    wall.get({ owner_id, domain: target.by === "name" ? target.name : undefined, count: 1 }),
  ] as const;
  // Videos need the owner's id, not a name.
  const withVideos = kind === "user" && target.by !== "name";
  const [found, posts, videos] = withVideos
    ? await vk.bundle([...asked, video.get({ owner_id, count: 1 })], options)
    : [...await vk.bundle(asked, options), undefined];
  const user = theUser(allowed(found), target);
  const responses = { user, wall: tolerated(posts), videos: videos && tolerated(videos) };
  if (!withVideos && kind === "user" && lacksVideos(user)) {
    responses.videos = tolerated(await vk.video.get({ owner_id: user.id, count: 1 }, options));
  }
  return profileOf(responses, kind);
}

/** A number of videos from an offset. */
export async function askVideos(
  vk: Vk,
  owner: Exclude<Target, { by: "name" }>,
  { limit, offset }: { limit: number; offset: number },
  options: CallOptions,
): Promise<VideoPage> {
  const owner_id = owner.by === "id" ? owner.id : undefined;
  const [found, page] = await vk.bundle([
    users.get({ user_ids: owner_id === undefined ? undefined : [owner_id] }),
    video.get({ owner_id, offset, count: limit }),
  ], options);
  const user = theUser(allowed(found), owner);
  if (page.ok) return { count: page.value.count, items: page.value.items.map(videoOf), unavailable: {} };
  const reason = hiddenVideos(user, page.failure);
  if (reason === undefined) throw new Refused(page.failure);
  return { count: null, items: [], unavailable: { videos: reason } };
}

/** The response may contain other users, or none. */
function theUser(rows: readonly UserRow[], target: Target): UserRow {
  const user = target.by === "id" ? rows.find(({ id }) => id === target.id) : rows[0];
  if (!user) throw new Refused({ kind: "not-found", code: 0, message: "The user does not exist" });
  return user;
}

/** An open profile without that counter. */
function lacksVideos({ counters, deactivated, is_closed, can_access_closed }: UserRow): boolean {
  return counters?.videos === undefined && deactivated === undefined &&
    (is_closed !== true || can_access_closed === true);
}

function allowed<T>(result: VkResult<T>): T {
  if (!result.ok) throw new Refused(result.failure);
  return result.value;
}

/** A hidden part does not fail the request; an invalid token, or a captcha, does. */
function tolerated<T>(result: VkResult<T>): VkResult<T> {
  if (!result.ok && ["token-dead", "captcha", "validation", "confirmation"].includes(result.failure.kind)) {
    throw new Refused(result.failure);
  }
  return result;
}

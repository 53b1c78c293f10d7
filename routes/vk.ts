import { z } from "zod";
import type { AppContext } from "../context.ts";
import { decodeCursor, encodeCursor, type List, listAbout } from "../contract/cursors.ts";
import { AppError } from "../lib/errors.ts";
import { preferredLang, type VkLang } from "../services/vk/lang.ts";
import type { VkService } from "../actors/vk_fetch.ts";
import { REASONS } from "../services/vk/profile.ts";
import { targetOf } from "../services/vk/target.ts";
import { VkToken } from "../services/vk/token.ts";
import { answer } from "./http/answer.ts";
import { type Api, endpoint } from "./http/endpoint.ts";
import { paging } from "./http/query.ts";

const tags = ["VK"];
const problems = [409];
/** Characters allowed in a header. */
const token = z.string().regex(/^[\x21-\x7e]{1,2048}$/, "Expected 1 to 2,048 visible ASCII characters");
const word = z.string().min(1).max(2_048);
const params = z.object({
  id: z.string().transform((text, context) => {
    const target = targetOf(text);
    if (target) return target;
    context.addIssue({ code: "custom", message: "Expected an id, a screen name or me" });
    return z.NEVER;
  }).meta({ description: "An id or a screen name of VK's, or `me`" }),
});

const count = z.int().nullable();
const time = z.iso.datetime();
const reason = z.enum(REASONS).optional();
const age = {
  fetched_at: time.meta({ description: "When VK was asked" }),
  stale: z.boolean().meta({ description: "An older response, because VK does not answer" }),
};

const VkUser = z.object({
  id: z.string(),
  first_name: z.string(),
  last_name: z.string(),
  status: z.enum(["online", "offline"]).nullable(),
  status_text: z.string().nullable(),
  videos: count,
  followers: count,
  posts: count,
  unavailable: z.object({
    status: reason,
    status_text: reason,
    videos: reason,
    followers: reason,
    posts: reason,
  }).meta({ description: "The reason why a value is null" }),
  ...age,
}).meta({ id: "VkUser" });

const VkVideos = z.object({
  items: z.array(z.object({
    id: z.string(),
    title: z.string(),
    description: z.string(),
    duration_s: count,
    published_at: time.nullable(),
    views: count,
    preview_url: z.string().nullable(),
    player_url: z.string().nullable(),
  })),
  next_cursor: z.string().nullable(),
  count: count.meta({ description: "Total number, including hidden ones, which are on no page" }),
  unavailable: z.object({ videos: reason }),
  ...age,
}).meta({ id: "VkVideos" });

export function vkRoutes(api: Api): void {
  vkTokenRoutes(api);
  vkCaptchaRoute(api);
  vkProfileRoutes(api);
}

function vkTokenRoutes(api: Api): void {
  endpoint(api, {
    method: "put",
    path: "/vk/token",
    access: "signed-in",
    summary: "Store the caller's VK token, replacing an earlier one; it is checked at its first use",
    tags,
    limit: "vk",
    body: z.strictObject({ token, kind: z.enum(["user", "service"]) }),
    answers: { 204: { description: "Stored" } },
  }, async ({ ctx, caller, body: { kind, token } }) => {
    await vkOf(ctx).vault.put(caller.id, kind, new VkToken(token));
    return answer(204);
  });

  endpoint(api, {
    method: "delete",
    path: "/vk/token",
    access: "signed-in",
    summary: "Remove one's VK token",
    tags,
    answers: { 204: { description: "The token is deleted" } },
  }, async ({ ctx, caller }) => {
    await vkOf(ctx).vault.remove(caller.id);
    return answer(204);
  });
}

function vkCaptchaRoute(api: Api): void {
  endpoint(api, {
    method: "post",
    path: "/vk/captcha",
    access: "signed-in",
    summary: "Answer a captcha from VK; the answer is sent with the next request within five minutes",
    tags,
    limit: "vk",
    body: z.union([
      z.strictObject({ captcha_sid: word, captcha_key: word }),
      z.strictObject({ success_token: word, remixstlid: z.string().regex(/^\d{1,20}$/).optional() }),
    ]),
    answers: { 204: { description: "Kept" } },
  }, async ({ ctx, caller, body }) => {
    await vkOf(ctx).fetch.captchaAnswered(caller.id, body);
    return answer(204);
  });
}

function vkProfileRoutes(api: Api): void {
  endpoint(api, {
    method: "get",
    path: "/vk/users/{id}",
    access: "signed-in",
    summary: "A VK user as visible to the caller's token: by id, by screen name, or `me`",
    tags,
    limit: "vk",
    params,
    etag: true,
    problems,
    answers: { 200: { description: "Data from VK; hidden values are null with a reason", schema: VkUser } },
  }, async ({ ctx, caller, params: { id }, request }) => {
    const { value, fetched_at, stale } = await vkOf(ctx).fetch.profile(caller.id, id, langOf(request));
    return answer(200, { ...value, fetched_at, stale }, BY_LANGUAGE);
  });

  endpoint(api, {
    method: "get",
    path: "/vk/users/{id}/videos",
    access: "signed-in",
    summary: "Videos of a VK user",
    tags,
    limit: "vk",
    params,
    query: z.strictObject(paging),
    problems,
    answers: {
      200: {
        description: "A page; it may have fewer than `limit` items, because hidden ones are left out",
        schema: VkVideos,
      },
    },
  }, async ({ ctx, caller, params: { id }, query: { limit, cursor }, request }) => {
    const list = listAbout("vk.videos", caller.id, JSON.stringify(id));
    const offset = cursor === undefined ? 0 : offsetOf(list, cursor);
    const { value, fetched_at, stale } = await vkOf(ctx).fetch.videos(
      caller.id,
      id,
      { limit, offset },
      langOf(request),
    );
    // By the requested number: hidden videos count in VK's offsets.
    const more = value.count !== null && offset + limit < value.count;
    const next_cursor = more ? encodeCursor(list, [String(offset + limit)]) : null;
    return answer(200, { ...value, next_cursor, fetched_at, stale }, BY_LANGUAGE);
  });
}

const BY_LANGUAGE = { vary: "Accept-Language" };

function langOf(request: Request): VkLang | undefined {
  return preferredLang(request.headers.get("accept-language"));
}

/** Throws if VK is not configured. */
function vkOf({ vk }: AppContext): VkService {
  if (vk) return vk;
  throw new AppError("vk-not-configured", "VK is not configured; an operator sets VK_API_URL", { retryAfter: 3_600 });
}

/** VK pages by offset. */
function offsetOf(list: List, cursor: string): number {
  return Number(decodeCursor(list, cursor, [/^\d{1,7}$/])[0]);
}

import { z } from "zod";
import type { AppContext } from "../context.ts";
import { decodeTimeCursor, encodeCursor, listAbout } from "../contract/cursors.ts";
import { followersOf } from "../db/follows.ts";
import { followedPages } from "../db/pages.ts";
import { AppError } from "../lib/errors.ts";
import { answer, listOf } from "./http/answer.ts";
import { type Api, endpoint } from "./http/endpoint.ts";
import { paging } from "./http/query.ts";
import { openPage, openPosts, pageId, pageParams } from "./pages.ts";
import { renderCard, renderPage } from "../contract/render.ts";
import { blockOf } from "../db/blocks.ts";
import * as schemas from "../contract/schemas.ts";

const tags = ["Following"];
const FollowAnswer = z.object({ state: z.enum(["following", "requested", "none"]) });

export function followingRoutes(api: Api): void {
  followRoutes(api);
  followedPageRoutes(api);
  followerRoutes(api);
  followRequestRoutes(api);
}

function followRoutes(api: Api): void {
  endpoint(api, {
    method: "put",
    path: "/pages/{id}/follow",
    access: "verified",
    summary: "Follow a public page, or request to follow a private one",
    tags,
    params: pageParams,
    answers: { 200: { description: "The caller's relation to the page", schema: FollowAnswer } },
  }, async ({ ctx, caller, params }) => {
    const id = await pageId(ctx, params.id);
    return answer(200, await ctx.actors.ask("page", id, "follow", { by: caller }));
  });

  endpoint(api, {
    method: "delete",
    path: "/pages/{id}/follow",
    access: "signed-in",
    summary: "Unfollow, or withdraw a request",
    tags,
    params: pageParams,
    answers: { 200: { description: "The caller's relation to the page", schema: FollowAnswer } },
  }, async ({ ctx, caller, params }) => {
    const id = await pageId(ctx, params.id);
    return answer(200, await ctx.actors.ask("page", id, "unfollow", { by: caller }));
  });
}

function followedPageRoutes(api: Api): void {
  for (
    const [path, state, summary] of [
      ["/users/me/following", "following", "Followed pages, latest first"],
      ["/users/me/requests", "requested", "Requested pages, latest first"],
    ] as const
  ) {
    endpoint(api, {
      method: "get",
      path,
      access: "signed-in",
      summary,
      tags,
      query: z.strictObject(paging),
      answers: { 200: { description: "Pages", schema: listOf(schemas.Page) } },
    }, async ({ ctx, caller, query: { limit, cursor } }) => {
      const list = listAbout(state, caller.id);
      const after = cursor === undefined ? undefined : decodeTimeCursor(list, cursor);
      const rows = await followedPages(ctx.sql, caller.id, { state, limit: limit + 1, after });
      const items = rows.slice(0, limit);
      const last = items.at(-1);
      return answer(200, {
        items: items.map((page) => renderPage(page)),
        next_cursor: rows.length > limit && last ? encodeCursor(list, [last.followed_at, last.id]) : null,
      });
    });
  }
}

function followerRoutes(api: Api): void {
  endpoint(api, {
    method: "get",
    path: "/pages/{id}/followers",
    access: "signed-in",
    summary: "Followers of a page",
    tags,
    params: pageParams,
    query: z.strictObject(paging),
    answers: { 200: { description: "Public cards", schema: listOf(schemas.Card) } },
  }, async ({ ctx, caller, params, query }) => {
    const id = await pageId(ctx, params.id);
    await openPosts(ctx, caller, id);
    return answer(200, await people(ctx, id, "following", query));
  });

  endpoint(api, {
    method: "delete",
    path: "/pages/{id}/followers/{user_id}",
    access: "verified",
    summary: "Remove a follower",
    tags,
    params: pageParams.extend({ user_id: schemas.id }),
    answers: { 204: { description: "Removed" } },
  }, async ({ ctx, caller, params }) => {
    const id = await pageId(ctx, params.id);
    await ctx.actors.ask("page", id, "remove_follower", { by: caller, user_id: params.user_id });
    return answer(204);
  });
}

function followRequestRoutes(api: Api): void {
  endpoint(api, {
    method: "get",
    path: "/pages/{id}/requests",
    access: "signed-in",
    summary: "Follow requests of an own page",
    tags,
    params: pageParams,
    query: z.strictObject(paging),
    answers: { 200: { description: "Public cards", schema: listOf(schemas.Card) } },
  }, async ({ ctx, caller, params, query }) => {
    const id = await pageId(ctx, params.id);
    const page = await openPage(ctx, caller, id);
    if (page.owner.id !== caller.id) {
      throw new AppError("forbidden", "Only the owner of the page can list follow requests");
    }
    if (blockOf(page, Date.now()) && caller.role === "user") throw new AppError("page-blocked");
    return answer(200, await people(ctx, id, "requested", query));
  });

  for (const [verb, done, accept] of [["accept", "accepted", true], ["reject", "rejected", false]] as const) {
    endpoint(api, {
      method: "post",
      path: `/pages/{id}/requests/${verb}`,
      access: "verified",
      summary: `${
        accept ? "Accept" : "Reject"
      } requests: the named ones or all; if a named person has no request, nothing changes`,
      tags,
      params: pageParams,
      body: z.union([
        z.strictObject({ user_ids: z.array(schemas.id).min(1).max(1_000) }),
        z.strictObject({ all: z.literal(true) }),
      ]),
      answers: { 200: { description: "How many", schema: z.object({ [done]: z.int() }) } },
    }, async ({ ctx, caller, params, body }) => {
      const id = await pageId(ctx, params.id);
      const user_ids = "user_ids" in body ? body.user_ids : null;
      return answer(200, {
        [done]: await ctx.actors.ask("page", id, "answer_requests", { by: caller, accept, user_ids }),
      });
    });
  }
}

async function people(
  ctx: AppContext,
  page: string,
  state: "following" | "requested",
  { limit, cursor }: { limit: number; cursor?: string | undefined },
) {
  const list = listAbout(state === "following" ? "page.followers" : "page.requests", page);
  const after = cursor === undefined ? undefined : decodeTimeCursor(list, cursor);
  const rows = await followersOf(ctx.sql, page, { state, limit: limit + 1, after });
  const items = rows.slice(0, limit);
  const last = items.at(-1);
  return {
    items: items.map(renderCard),
    next_cursor: rows.length > limit && last ? encodeCursor(list, [last.followed_at, last.id]) : null,
  };
}

import { z } from "zod";
import { decodeTimeCursor, encodeCursor, listAbout } from "../contract/cursors.ts";
import { likedPosts, pageOfPost } from "../db/posts.ts";
import { AppError } from "../lib/errors.ts";
import { answer, listOf } from "./http/answer.ts";
import { type Api, endpoint } from "./http/endpoint.ts";
import { paging } from "./http/query.ts";
import { renderPost } from "../contract/render.ts";
import * as schemas from "../contract/schemas.ts";

const tags = ["Posts"];
const params = z.object({ id: schemas.id });
const LikeAnswer = z.object({ liked: z.literal(true), like_count: z.int() });
const UnlikeAnswer = z.object({ liked: z.literal(false), like_count: z.int().nullable() });
/** The same answer for a hidden post and for one that does not exist. */
const NOT_LIKED = { liked: false, like_count: null };

export function likeRoutes(api: Api): void {
  endpoint(api, {
    method: "put",
    path: "/posts/{id}/like",
    access: "verified",
    summary: "Like",
    tags,
    params,
    answers: { 200: { description: "The post's current likes", schema: LikeAnswer } },
  }, async ({ ctx, caller, params: { id } }) => {
    const page = await ctx.pageOfPost(id);
    if (!page) throw new AppError("not-found", `No post has the id "${id}"`);
    const answered = await ctx.actors.ask("page", page, "like", { by: caller, post_id: id }).catch(async (error) => {
      // A blocked page is 403, whatever the post. A post deleted meanwhile is 404.
      const gone = error instanceof AppError && error.code === "page-blocked" && !await pageOfPost(ctx.sql, id);
      throw gone ? new AppError("not-found", `No post has the id "${id}"`) : error;
    });
    return answer(200, answered);
  });

  endpoint(api, {
    method: "delete",
    path: "/posts/{id}/like",
    access: "signed-in",
    summary: "Remove a like, even if the post is no longer visible",
    tags,
    params,
    answers: {
      200: { description: "The post's current likes, null if the caller may not see it", schema: UnlikeAnswer },
    },
  }, async ({ ctx, caller, params: { id } }) => {
    const page = await ctx.pageOfPost(id);
    if (!page) return answer(200, NOT_LIKED);
    const unliked = ctx.actors.ask("page", page, "unlike", { by: caller, post_id: id });
    return answer(200, await unliked.catch(goneOrThrow));
  });

  endpoint(api, {
    method: "get",
    path: "/users/me/likes",
    access: "signed-in",
    summary: "Liked posts, latest like first",
    tags,
    query: z.strictObject(paging),
    answers: { 200: { description: "Posts", schema: listOf(schemas.Post) } },
  }, async ({ ctx, caller, query: { limit, cursor } }) => {
    const list = listAbout("likes", caller.id);
    const rows = await likedPosts(ctx.sql, caller.id, {
      limit: limit + 1,
      after: cursor === undefined ? undefined : decodeTimeCursor(list, cursor),
    });
    const items = rows.slice(0, limit);
    const last = items.at(-1);
    return answer(200, {
      items: items.map(renderPost),
      next_cursor: rows.length > limit && last ? encodeCursor(list, [last.liked_at, last.id]) : null,
    });
  });
}

/** A post whose page was deleted, along with its likes. */
function goneOrThrow(error: unknown): typeof NOT_LIKED {
  if (error instanceof AppError && error.code === "not-found") return NOT_LIKED;
  throw error;
}

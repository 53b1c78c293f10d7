import { z } from "zod";
import type { NewPost } from "../actors/page_commands.ts";
import type { AppContext } from "../context.ts";
import { decodeTimeCursor, encodeCursor, type List, listAbout } from "../contract/cursors.ts";
import { sequencerState } from "../db/events.ts";
import { pageOfPost, postById, type PostRow, postsOfPage, repliesTo, unreadyPosts } from "../db/posts.ts";
import { accountsByLogin } from "../db/users.ts";
import { AppError } from "../lib/errors.ts";
import { refusalOf } from "../services/images/picture.ts";
import { type FailedPhoto, READY_WITHIN_MS } from "../services/images/photo_readiness.ts";
import { newId } from "../lib/ids.ts";
import { foldName } from "../lib/folding.ts";
import type { Caller } from "../actors/account_cache.ts";
import { type Answer, answer, listOf } from "./http/answer.ts";
import { type Api, endpoint } from "./http/endpoint.ts";
import { paging } from "./http/query.ts";
import type { Received, UploadRules } from "./http/uploads.ts";
import { openPage, openPosts, ownPage, pageId, pageParams } from "./pages.ts";
import { renderPost } from "../contract/render.ts";
import * as schemas from "../contract/schemas.ts";
import { shownText } from "../contract/text_rules.ts";
import { reasonQuery } from "./users.ts";

const tags = ["Posts"];
const params = z.object({ id: schemas.id });
/** A text of only white space counts as empty. */
const text = z.string().max(4_000).transform((value) => value.trim() === "" ? "" : value);
const place = shownText({ max: 200, lines: "one" });
const tagged = z.array(schemas.login).max(50);
const listQuery = z.strictObject(paging);
const Posts = listOf(schemas.Post);
/** Photos per post (`docs/limits.md`). */
const MAX_PHOTOS = 10;
const photo = z.strictObject({
  name: z.string().min(1).max(200).meta({ description: "The file's name; its extension must fit its content" }),
  data: z.string().meta({ description: "Base64", contentEncoding: "base64" }),
  alt: shownText({ max: 1_000, lines: "many", optional: true }).nullish(),
});
const NewPostBody = z.strictObject({
  text: text.optional(),
  photos: z.array(photo).max(MAX_PHOTOS).optional(),
  tagged_users: tagged.optional(),
  place: place.nullish(),
  reply_to: schemas.id.nullish(),
}).refine(({ text, photos = [] }) => photos.length > 0 || (text ?? "") !== "", {
  path: ["text"],
  message: "Expected text or a photo",
});
const photoUploads: UploadRules = {
  files: "photos",
  mostFiles: MAX_PHOTOS,
  fields: { text: 1, place: 1, reply_to: 1, tagged_users: 50, alt: MAX_PHOTOS },
  value: ({ text, place, reply_to, tagged_users, alt }, files) => ({
    ...(text && { text: text[0] }),
    ...(place && { place: place[0] }),
    ...(reply_to && { reply_to: reply_to[0] }),
    ...(tagged_users && { tagged_users }),
    photos: files.map((file, i) => ({ ...file, ...(alt?.[i] !== undefined && { alt: alt[i] }) })),
  }),
};
export function postRoutes(api: Api): void {
  pagePostRoutes(api);
  postReadRoutes(api);
  postChangeRoutes(api);
}

function pagePostRoutes(api: Api): void {
  endpoint(api, {
    method: "post",
    path: "/pages/{id}/posts",
    access: "verified",
    summary: "Create a post on an own page; a reply is a post with reply_to",
    tags,
    params: pageParams,
    creates: true,
    body: NewPostBody,
    uploads: photoUploads,
    before: ({ ctx, caller, params }) => ownPage(ctx, caller, params.id),
    answers: {
      201: { description: "The post", schema: schemas.Post },
      202: {
        description: "The post, whose photos are not ready yet; only its author sees it",
        schema: schemas.Post,
      },
    },
  }, async ({ ctx, caller, params, body, receipt, received }) => {
    const page = await pageId(ctx, params.id);
    const id = receipt?.id ?? newId();
    if (receipt?.result) {
      const refuse = refusing(ctx, caller, { page, id }, received!);
      return await whenReady(ctx, caller, await visiblePost(ctx, caller, id), refuse);
    }
    const post: NewPost = {
      id,
      text: body.text ?? "",
      ...await taggedPeople(ctx, body.tagged_users ?? []),
      place: body.place ?? null,
      reply_to: body.reply_to ?? null,
      photos: await received!.photos(body.photos ?? []),
    };
    const json = await ctx.actors.ask("page", page, "create_post", { by: caller, post }, { receipt: receipt?.id });
    if (post.photos.length === 0) return { status: 201, json, headers: locationOf(id) };
    return await photosReady(ctx, caller, { id, photos: post.photos }, refusing(ctx, caller, { page, id }, received!));
  });

  endpoint(api, {
    method: "get",
    path: "/pages/{id}/posts",
    access: "signed-in",
    summary: "A page's posts, newest first; its owner may list those that are not ready",
    tags,
    params: pageParams,
    query: z.strictObject({ ...paging, state: z.enum(["ready", "processing", "failed"]).default("ready") }),
    answers: { 200: { description: "Posts", schema: Posts } },
  }, async ({ ctx, caller, params, query: { limit, cursor, state } }) => {
    const page = await pageId(ctx, params.id);
    const { owner } = await openPosts(ctx, caller, page);
    if (state !== "ready") {
      if (owner.id !== caller.id) {
        throw new AppError("forbidden", "Only the owner of the page can list posts that are not ready");
      }
      const list = listAbout(`page.posts.${state}`, page);
      const after = cursor === undefined ? undefined : decodeTimeCursor(list, cursor);
      const rows = await unreadyPosts(ctx.sql, caller.id, { page, state, limit: limit + 1, after });
      return answer(200, listed(list, rows, limit));
    }
    const list = listAbout("page.posts", page);
    const rows = await postsOfPage(ctx.sql, caller.id, { page, limit: limit + 1, after: after(list, cursor) });
    return answer(200, listed(list, rows, limit));
  });
}

function postReadRoutes(api: Api): void {
  endpoint(api, {
    method: "get",
    path: "/posts/{id}",
    access: "signed-in",
    summary: "A post",
    tags,
    params,
    etag: true,
    answers: { 200: { description: "The post", schema: schemas.Post } },
  }, async ({ ctx, caller, params: { id } }) => answer(200, renderPost(await visiblePost(ctx, caller, id))));

  endpoint(api, {
    method: "get",
    path: "/posts/{id}/replies",
    access: "signed-in",
    summary: "Visible replies to a post, newest first",
    tags,
    params,
    query: listQuery,
    answers: { 200: { description: "Posts", schema: Posts } },
  }, async ({ ctx, caller, params: { id }, query: { limit, cursor } }) => {
    await visiblePost(ctx, caller, id);
    const list = listAbout("replies", id);
    const rows = await repliesTo(ctx.sql, caller.id, { post: id, limit: limit + 1, after: after(list, cursor) });
    return answer(200, listed(list, rows, limit));
  });
}

function postChangeRoutes(api: Api): void {
  endpoint(api, {
    method: "patch",
    path: "/posts/{id}",
    access: "verified",
    summary: "Edit a post",
    tags,
    params,
    body: z.strictObject({
      text: text.optional(),
      tagged_users: tagged.optional(),
      place: place.nullable().optional(),
      photos: z.array(schemas.id).max(MAX_PHOTOS).refine(
        (ids) => new Set(ids).size === ids.length,
        "Expected each once",
      )
        .optional().meta({ description: "Ids of the photos to keep, in their order" }),
    }),
    answers: { 200: { description: "The post", schema: schemas.Post } },
  }, async ({ ctx, caller, params: { id }, body }) => {
    const { page_id } = await visiblePost(ctx, caller, id);
    const { text, tagged_users, place, photos } = body;
    const tagged = tagged_users && (await taggedPeople(ctx, tagged_users)).tagged;
    await ctx.actors.ask("page", page_id, "update_post", { by: caller, post_id: id, text, tagged, place, photos });
    return answer(200, renderPost(await visiblePost(ctx, caller, id)));
  });

  endpoint(api, {
    method: "post",
    path: "/posts/{id}/retry",
    access: "verified",
    summary: "Retry the failed photos of a post",
    tags,
    params,
    answers: {
      200: { description: "The post, ready", schema: schemas.Post },
      202: { description: "The post, whose photos are being prepared again", schema: schemas.Post },
    },
  }, async ({ ctx, caller, params: { id } }) => {
    const { page_id } = await visiblePost(ctx, caller, id);
    await ctx.actors.ask("page", page_id, "retry_photos", { by: caller, post_id: id });
    const answered = await whenReady(ctx, caller, await visiblePost(ctx, caller, id));
    return answered.status === 201 ? { ...answered, status: 200 } : answered;
  });

  endpoint(api, {
    method: "delete",
    path: "/posts/{id}",
    access: "signed-in",
    summary: "Delete a post, as its owner or as staff",
    tags,
    params,
    query: reasonQuery,
    answers: { 204: { description: "Deleted" } },
  }, async ({ ctx, caller, params: { id }, query }) => {
    const { page_id } = await visiblePost(ctx, caller, id);
    await ctx.actors.ask("page", page_id, "delete_post", { by: caller, post_id: id, ...query });
    return answer(204);
  });
}

/** The post as the caller sees it. Throws 403 if its page is blocked, 404 if it is not visible. */
export async function visiblePost(ctx: AppContext, caller: Caller, id: string): Promise<PostRow> {
  const row = await postById(ctx.sql, caller.id, id);
  if (row) return row;
  const page = await pageOfPost(ctx.sql, id);
  if (page) await openPage(ctx, caller, page);
  throw new AppError("not-found", `No post has the id "${id}"`);
}

async function whenReady(
  ctx: AppContext,
  caller: Caller,
  row: PostRow,
  onFailed?: (failed: readonly FailedPhoto[]) => Promise<void>,
): Promise<Answer> {
  if (row.state === "ready") return answer(201, renderPost(row), locationOf(row.id));
  return await photosReady(ctx, caller, row, onFailed);
}

/**
 * Waits briefly for a post's photos: 201 when it is ready, 202 if it is not or has failed, unless the failure is an
 * error.
 */
async function photosReady(
  ctx: AppContext,
  caller: Caller,
  { id, photos }: { id: string; photos: readonly { id: string }[] },
  onFailed?: (failed: readonly FailedPhoto[]) => Promise<void>,
): Promise<Answer> {
  const { failed } = await ctx.photos.waiting.until(photos.map(({ id }) => id), READY_WITHIN_MS);
  await onFailed?.(failed);
  // As after any write: this node's feeds include what is answered.
  await ctx.stream.applied((await sequencerState(ctx.sql)).seq);
  const now = await visiblePost(ctx, caller, id);
  return answer(now.state === "ready" ? 201 : 202, renderPost(now), locationOf(id));
}

/** For a new post with a file that cannot be decoded: discards the post and names the field. */
function refusing(
  ctx: AppContext,
  caller: Caller,
  { page, id }: { page: string; id: string },
  received: Received,
): (failed: readonly FailedPhoto[]) => Promise<void> {
  return async (failed) => {
    const errors = failed.flatMap(({ index, problem }) => {
      const refusal = refusalOf(problem);
      return refusal ? [{ path: received.pathOf(index), ...refusal }] : [];
    });
    if (errors.length === 0) return;
    // The owner may have fixed the post at this moment; then it stays.
    const { discarded } = await ctx.actors.ask("page", page, "discard_post", { by: caller, post_id: id });
    if (discarded) throw new AppError("validation", undefined, { errors });
  };
}

function locationOf(id: string): Record<string, string> {
  return { Location: `/api/v1/posts/${id}` };
}

/** Finds tagged people by login. Throws `validation` naming unknown ones. */
async function taggedPeople(ctx: AppContext, logins: string[]): Promise<{ tagged: string[]; tagged_logins: string[] }> {
  if (logins.length === 0) return { tagged: [], tagged_logins: [] };
  const known = await accountsByLogin(ctx.sql, logins);
  const errors = logins.flatMap((login, i) =>
    known.has(foldName(login))
      ? []
      : [{ path: `tagged_users.${i}`, rule: "exists", message: `No account has the login "${login}"` }]
  );
  if (errors.length > 0) throw new AppError("validation", undefined, { errors });
  const people = [...new Set(logins.map(foldName))].map((login) => known.get(login)!);
  return { tagged: people.map(({ id }) => id), tagged_logins: people.map(({ login }) => login) };
}

function after(list: List, cursor: string | undefined): { published_at: string; id: string } | undefined {
  if (cursor === undefined) return undefined;
  const { at, id } = decodeTimeCursor(list, cursor);
  return { published_at: at, id };
}

export function listed(
  list: List,
  rows: PostRow[],
  limit: number,
): { items: Record<string, unknown>[]; next_cursor: string | null } {
  const items = rows.slice(0, limit);
  const last = items.at(-1);
  return {
    items: items.map(renderPost),
    next_cursor: rows.length > limit && last
      ? encodeCursor(list, [last.published_at ?? last.created_at, last.id])
      : null,
  };
}

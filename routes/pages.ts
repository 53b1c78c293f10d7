import { z } from "zod";
import { TAG_MAX_WRITTEN } from "../contract/tags.ts";
import type { AppContext } from "../context.ts";
import { decodeTimeCursor, encodeCursor, listAbout, type ListName } from "../contract/cursors.ts";
import { maySeePosts, pageById, pageIdByHandle, pagesOf, type ShownPageRow } from "../db/pages.ts";
import { cardByLogin } from "../db/users.ts";
import { AppError } from "../lib/errors.ts";
import { newId } from "../lib/ids.ts";
import type { Caller } from "../actors/account_cache.ts";
import { answer, listOf } from "./http/answer.ts";
import { type Api, endpoint } from "./http/endpoint.ts";
import { paging } from "./http/query.ts";
import { renderCard, renderPage } from "../contract/render.ts";
import { blockOf } from "../db/blocks.ts";
import * as schemas from "../contract/schemas.ts";
import { blockUntil, reasonQuery } from "./users.ts";

const tags = ["Pages"];
/** A page by its id or its handle. */
export const pageParams = z.object({ id: z.string().min(2).max(64).regex(/^[A-Za-z0-9_-]+$/) });
const description = z.string().max(2_000);
const until = schemas.blockEnd.nullable();

export function pageRoutes(api: Api): void {
  pageCollectionRoutes(api);
  personRoutes(api);
  singlePageRoutes(api);
  pageTagRoutes(api);
  pageBlockRoutes(api);
}

function pageCollectionRoutes(api: Api): void {
  endpoint(api, {
    method: "post",
    path: "/pages",
    access: "verified",
    summary: "Create a page; without a handle one is generated",
    tags,
    creates: true,
    body: z.strictObject({
      name: schemas.pageName,
      uuid: schemas.handle.optional(),
      description: description.optional(),
      tags: z.array(schemas.tag).max(30).optional(),
      is_private: z.boolean().optional(),
    }),
    answers: { 201: { description: "The page", schema: schemas.Page } },
  }, async ({ ctx, caller, body, receipt }) => {
    const id = receipt?.id ?? newId();
    if (!receipt?.result) {
      const page = {
        id,
        name: body.name,
        // A generated handle. It is not an id, because handles never look like ids.
        uuid: body.uuid ?? `page-${id.replaceAll("-", "").slice(8)}`,
        description: body.description ?? "",
        tags: [...new Set(body.tags ?? [])],
        is_private: body.is_private ?? false,
      };
      await ctx.actors.ask("page", id, "create", { by: caller, page }, { receipt: receipt?.id });
    }
    return answer(201, await shownPage(ctx, caller, id), { Location: `/api/v1/pages/${id}` });
  });

  endpoint(api, {
    method: "get",
    path: "/pages",
    access: "signed-in",
    summary: "Own pages, newest first",
    tags,
    query: z.strictObject({ ...paging, owner: z.literal("me") }),
    answers: { 200: { description: "Pages", schema: listOf(schemas.Page) } },
  }, async ({ ctx, caller, query }) => answer(200, await listPages(ctx, caller, "pages", caller.id, query)));
}

function personRoutes(api: Api): void {
  endpoint(api, {
    method: "get",
    path: "/people/{login}",
    access: "signed-in",
    summary: "Public profile of a person",
    tags: ["People"],
    params: z.object({ login: schemas.login }),
    etag: true,
    answers: { 200: { description: "The card", schema: schemas.Card } },
  }, async ({ ctx, params: { login } }) => {
    const card = await cardByLogin(ctx.sql, login);
    if (!card) throw new AppError("not-found", `No account has the login "${login}"`);
    return answer(200, renderCard(card));
  });

  endpoint(api, {
    method: "get",
    path: "/people/{login}/pages",
    access: "signed-in",
    summary: "Somebody's pages, newest first",
    tags: ["People"],
    params: z.object({ login: schemas.login }),
    query: z.strictObject(paging),
    answers: { 200: { description: "Pages", schema: listOf(schemas.Page) } },
  }, async ({ ctx, caller, params: { login }, query }) => {
    const card = await cardByLogin(ctx.sql, login);
    if (!card) throw new AppError("not-found", `No account has the login "${login}"`);
    return answer(200, await listPages(ctx, caller, "person.pages", card.id, query));
  });
}

function singlePageRoutes(api: Api): void {
  endpoint(api, {
    method: "get",
    path: "/pages/{id}",
    access: "signed-in",
    summary: "A page by its id or handle",
    tags,
    params: pageParams,
    etag: true,
    answers: { 200: { description: "The page", schema: schemas.Page } },
  }, async ({ ctx, caller, params }) => answer(200, await shownPage(ctx, caller, await pageId(ctx, params.id))));

  endpoint(api, {
    method: "patch",
    path: "/pages/{id}",
    access: "verified",
    summary: "Change a page; becoming public accepts the pending requests",
    tags,
    params: pageParams,
    body: z.strictObject({
      name: schemas.pageName.optional(),
      uuid: schemas.handle.optional(),
      description: description.optional(),
      is_private: z.boolean().optional(),
    }),
    answers: { 200: { description: "The page", schema: schemas.Page } },
  }, async ({ ctx, caller, params, body }) => {
    const id = await pageId(ctx, params.id);
    await ctx.actors.ask("page", id, "update", { by: caller, patch: body });
    return answer(200, await shownPage(ctx, caller, id));
  });

  endpoint(api, {
    method: "delete",
    path: "/pages/{id}",
    access: "verified",
    summary: "Delete a page with its posts",
    tags,
    params: pageParams,
    answers: { 204: { description: "Deleted" } },
  }, async ({ ctx, caller, params }) => {
    const id = await pageId(ctx, params.id);
    await ctx.actors.ask("page", id, "delete", { by: caller });
    return answer(204);
  });
}

function pageTagRoutes(api: Api): void {
  for (
    const [method, name, summary] of [["put", "add_tag", "Add a tag"], [
      "delete",
      "remove_tag",
      "Remove a tag",
    ]] as const
  ) {
    endpoint(api, {
      method,
      path: "/pages/{id}/tags/{tag}",
      access: "verified",
      summary,
      tags,
      params: pageParams.extend({ tag: z.string().min(1).max(TAG_MAX_WRITTEN) }),
      answers: { 200: { description: "The page", schema: schemas.Page } },
    }, async ({ ctx, caller, params }) => {
      const id = await pageId(ctx, params.id);
      await ctx.actors.ask("page", id, name, { by: caller, tag: params.tag });
      return answer(200, await shownPage(ctx, caller, id));
    });
  }
}

function pageBlockRoutes(api: Api): void {
  endpoint(api, {
    method: "post",
    path: "/pages/{id}/block",
    access: "staff",
    hides: true,
    summary: "Block a page; only administrators can block permanently",
    tags: ["Moderation"],
    params: pageParams,
    query: z.strictObject({ dry_run: schemas.dryRun }),
    body: z.strictObject({ reason: schemas.reason, until }),
    answers: { 200: { description: "The page", schema: z.union([schemas.Page, schemas.Reach]) } },
  }, async ({ ctx, caller, params, query, body }) => {
    const id = await pageId(ctx, params.id);
    const dry_run = query.dry_run === "true";
    const block = { by: caller, reason: body.reason, until: blockUntil(body.until), job: newId(), dry_run };
    const reach = await ctx.actors.ask("page", id, "block", block);
    if (dry_run) return answer(200, { dry_run, ...reach });
    return answer(200, await shownPage(ctx, caller, id));
  });

  endpoint(api, {
    method: "delete",
    path: "/pages/{id}/block",
    access: "staff",
    hides: true,
    summary: "Unblock a page",
    tags: ["Moderation"],
    params: pageParams,
    query: reasonQuery,
    answers: { 200: { description: "The page", schema: schemas.Page } },
  }, async ({ ctx, caller, params, query }) => {
    const id = await pageId(ctx, params.id);
    await ctx.actors.ask("page", id, "unblock", { by: caller, ...query });
    return answer(200, await shownPage(ctx, caller, id));
  });
}

/** The id of a page from a path segment with an id or a handle. */
export async function pageId(ctx: AppContext, idOrHandle: string): Promise<string> {
  if (schemas.isId(idOrHandle)) return idOrHandle.toLowerCase();
  const id = await pageIdByHandle(ctx.sql, idOrHandle);
  if (!id) throw new AppError("not-found", `No page has the id or handle "${idOrHandle}"`);
  return id;
}

/** Anybody signed in may see that a page exists, unless it is blocked. Its posts are checked separately. */
export async function openPage(ctx: AppContext, caller: Caller, id: string): Promise<ShownPageRow> {
  const page = await pageById(ctx.sql, caller.id, id);
  if (!page) throw new AppError("not-found", `No page has the id or handle "${id}"`);
  const block = blockOf(page, Date.now());
  if (!block || caller.role !== "user") return page;
  if (page.owner.id !== caller.id) throw new AppError("page-blocked");
  throw new AppError(
    "page-blocked",
    `The page is blocked ${block.until ? `until ${block.until}` : "permanently"}: ${block.reason}`,
  );
}

/** Rejects callers who do not own the page before expensive reads. The actor checks again. */
export async function ownPage(ctx: AppContext, caller: Caller, idOrHandle: string): Promise<void> {
  const page = await openPage(ctx, caller, await pageId(ctx, idOrHandle));
  if (page.owner.id !== caller.id) throw new AppError("forbidden", "Only the owner of the page can do this");
}

/** Checks that the caller may see the page's posts and people. Otherwise 404. */
export async function openPosts(ctx: AppContext, caller: Caller, id: string): Promise<ShownPageRow> {
  const page = await openPage(ctx, caller, id);
  if (!await maySeePosts(ctx.sql, caller.id, id)) {
    throw new AppError("not-found", "The page is private; follow it to see its content");
  }
  return page;
}

export async function shownPage(ctx: AppContext, caller: Caller, id: string): Promise<Record<string, unknown>> {
  return renderPage(await openPage(ctx, caller, id));
}

async function listPages(
  ctx: AppContext,
  caller: Caller,
  name: ListName,
  owner: string,
  { limit, cursor }: { limit: number; cursor?: string | undefined },
) {
  const list = listAbout(name, owner);
  const rows = await pagesOf(ctx.sql, caller.id, {
    owner,
    withBlocked: owner === caller.id || caller.role !== "user",
    limit: limit + 1,
    after: cursor === undefined ? undefined : decodeTimeCursor(list, cursor),
  });
  const items = rows.slice(0, limit);
  const last = items.at(-1);
  return {
    items: items.map((page) => renderPage(page)),
    next_cursor: rows.length > limit && last ? encodeCursor(list, [last.created_at, last.id]) : null,
  };
}

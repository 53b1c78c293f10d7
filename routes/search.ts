import { z } from "zod";
import { decodeCursor, encodeCursor, ID, listAbout } from "../contract/cursors.ts";
import { type Hit, idOf, type Place, search } from "../db/search/search.ts";
import type { Section } from "../db/search/stages.ts";
import { AppError } from "../lib/errors.ts";
import { renderCard, renderPage } from "../contract/render.ts";
import { listOf } from "./http/answer.ts";
import { type Api, endpoint } from "./http/endpoint.ts";
import { paging } from "./http/query.ts";
import * as schemas from "../contract/schemas.ts";

/** Hits stored in a cursor, so that they are not repeated; as many as fit (`docs/limits.md`). */
const MAX_SEEN = 32;
const PATTERNS = [/^\d{1,2}$/, /^\d{1,9}$/, ID, new RegExp(`^(?:[0-9a-f]{8}){0,${MAX_SEEN}}$`)];

export function searchRoutes(api: Api): void {
  endpoint(api, {
    method: "get",
    path: "/search",
    access: "signed-in",
    summary: "Search pages by handle, name, tag and description, and people by login and name; best first",
    tags: ["Search"],
    limit: "search",
    query: z.strictObject({
      ...paging,
      q: z.string().trim().min(1).max(200),
      type: z.enum(["all", "pages", "users"]).default("all"),
    }),
    answers: {
      200: {
        description: "Both sections; a section that was not requested is empty. A cursor continues one section",
        schema: z.object({ pages: listOf(schemas.Page), users: listOf(schemas.Card) }),
      },
    },
  }, async ({ ctx, caller, query: { q, type, limit, cursor } }) => {
    const { after, seen } = cursor === undefined ? { after: undefined, seen: [] } : decoded(cursor, type, q);
    const hits = await search(ctx.sql, caller.id, {
      q,
      sections: type === "all" ? ["pages", "users"] : [type],
      limit: limit + 1,
      after,
      seen,
      verifiedOnly: ctx.config.REQUIRE_VERIFIED_EMAIL,
    });
    const section = <H extends Hit>(name: Section, found: H[], render: (hit: H) => unknown) => {
      const shown = found.slice(0, limit);
      return { items: shown.map(render), next_cursor: found.length > limit ? encoded(name, q, shown, seen) : null };
    };
    const pages = section("pages", hits.filter((hit) => hit.section === "pages"), (hit) => renderPage(hit));
    const users = section("users", hits.filter((hit) => hit.section === "users"), (hit) => renderCard(hit.owner));
    const next = { all: null, pages: pages.next_cursor, users: users.next_cursor }[type];
    return { status: 200, body: { pages, users }, next_cursor: next };
  });
}

function encoded(section: Section, q: string, shown: readonly Hit[], seen: readonly string[]): string {
  const ids = shown.map(idOf);
  const { rank, followers } = shown.at(-1)!;
  const latest = [...seen, ...ids.map((id) => id.slice(-8))].slice(-MAX_SEEN);
  return encodeCursor(listAbout(`search.${section}`, q), [
    String(rank),
    String(followers),
    ids.at(-1)!,
    latest.join(""),
  ]);
}

/** Throws `invalid-cursor`, also for a cursor of another section or query. */
function decoded(cursor: string, type: Section | "all", q: string): { after: Place; seen: string[] } {
  if (type === "all") {
    throw new AppError("validation", undefined, {
      errors: [{ path: "cursor", rule: "one_type", message: "Expected a type, as a cursor belongs to one section" }],
    });
  }
  const [rank, followers, id, seen] = decodeCursor(listAbout(`search.${type}`, q), cursor, PATTERNS);
  const after = { rank: Number(rank), followers: Number(followers), id: id! };
  return { after, seen: seen!.match(/.{8}/g) ?? [] };
}

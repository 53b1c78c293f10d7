import { z } from "zod";
import { decodeCursor, encodeCursor, listAbout } from "../contract/cursors.ts";
import { ACTS, listLog, type LogRow } from "../db/moderation_log.ts";
import { answer, listOf } from "./http/answer.ts";
import { type Api, endpoint } from "./http/endpoint.ts";
import { paging } from "./http/query.ts";
import * as schemas from "../contract/schemas.ts";

/** An entry's number, with at most as many digits as a bigint. */
const NUMBER = /^[1-9]\d{0,17}$/;

export function moderationRoutes(api: Api): void {
  endpoint(api, {
    method: "get",
    path: "/moderation/log",
    access: "admin",
    summary: "The record of moderation, newest first",
    tags: ["Moderation"],
    query: z.strictObject({
      ...paging,
      actor: schemas.id.optional().meta({ description: "The account that acted" }),
      act: z.enum(ACTS).optional(),
      target: schemas.id.optional().meta({ description: "The account, page, post or report concerned" }),
      from: schemas.moment.optional(),
      to: schemas.moment.optional().meta({ description: "Not included" }),
    }),
    answers: { 200: { description: "Entries", schema: listOf(schemas.LogEntry) } },
  }, async ({ ctx, query: { limit, cursor, ...filter } }) => {
    const { actor, act, target, from, to } = filter;
    const list = listAbout("moderation", actor, act, target, from, to);
    const before = cursor === undefined ? undefined : Number(decodeCursor(list, cursor, [NUMBER])[0]);
    const rows = await listLog(ctx.sql, { ...filter, limit: limit + 1, before });
    const items = rows.slice(0, limit);
    const last = items.at(-1);
    return answer(200, {
      items: items.map(renderEntry),
      next_cursor: rows.length > limit && last ? encodeCursor(list, [String(last.seq)]) : null,
    });
  });
}

function renderEntry(row: LogRow): z.output<typeof schemas.LogEntry> {
  const { seq, at, act, reason, before, after, hash } = row;
  return {
    id: String(seq),
    at,
    act,
    actor: { id: row.actor_id, login: row.actor_login, role: row.actor_role },
    target: { kind: row.target_kind, id: row.target_id, name: row.target_name },
    reason,
    before,
    after,
    hash,
  };
}

import { z } from "zod";
import { decodeTimeCursor, listAbout } from "../contract/cursors.ts";
import { feedPosts } from "../db/feed.ts";
import { encodeLiveCursor } from "../live/cursor.ts";
import { newTicket } from "../security/tickets.ts";
import { answer, answerText, listOf } from "./http/answer.ts";
import { type Api, endpoint } from "./http/endpoint.ts";
import { paging } from "./http/query.ts";
import { listed } from "./posts.ts";
import * as schemas from "../contract/schemas.ts";

const tags = ["Feed"];

export function feedRoutes(api: Api): void {
  endpoint(api, {
    method: "get",
    path: "/feed",
    access: "signed-in",
    summary: "Posts of followed and own pages, newest first",
    tags,
    query: z.strictObject(paging),
    answers: {
      200: {
        description: "Posts; the stream from live_cursor has everything that happened after this page was read",
        schema: listOf(schemas.Post).extend({ live_cursor: z.string() }),
      },
    },
  }, async ({ ctx, caller, query: { limit, cursor } }) => {
    const { stream } = ctx;
    if (cursor !== undefined) {
      const list = listAbout("feed", caller.id);
      const { at, id } = decodeTimeCursor(list, cursor);
      const live_cursor = encodeLiveCursor({ historyId: stream.historyId, seq: stream.position });
      const rows = await feedPosts(ctx.sql, caller.id, { limit: limit + 1, after: { published_at: at, id } });
      return answer(200, { ...listed(list, rows, limit), live_cursor });
    }
    const wanted = { limit, bypass: stream.stalled };
    const { json, seq, next_cursor } = await ctx.actors.ask("feed", caller.id, "first_page", wanted);
    const live = encodeLiveCursor({ historyId: stream.historyId, seq });
    return answerText(200, `{${json},"live_cursor":"${live}"}`, next_cursor);
  });

  endpoint(api, {
    method: "post",
    path: "/feed/ticket",
    access: "signed-in",
    summary: "Create a ticket for one WebSocket, for browsers: single use, valid for 30 seconds",
    tags,
    answers: { 200: { description: "The ticket", schema: z.object({ ticket: z.string() }) } },
  }, ({ ctx, caller }) => answer(200, { ticket: newTicket(ctx.secret, caller) }));
}

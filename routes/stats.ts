import { periodOf, periodQuery } from "../services/stats/period.ts";
import { type Api, endpoint } from "./http/endpoint.ts";
import { ownPage, pageId, pageParams } from "./pages.ts";
import * as schemas from "../contract/schemas.ts";

export function statsRoutes(api: Api): void {
  endpoint(api, {
    method: "get",
    path: "/pages/{id}/stats",
    access: "signed-in",
    summary: "A page's posts, followers, requests, likes and replies: now, and day by day; for its owner alone",
    tags: ["Pages"],
    params: pageParams,
    query: periodQuery,
    answers: { 200: { description: "The numbers; a day's are those at its end, in UTC", schema: schemas.PageStats } },
  }, async ({ ctx, caller, params, query, request }) => {
    const id = await pageId(ctx, params.id);
    await ownPage(ctx, caller, id);
    const period = periodOf(query, Date.now());
    // The service checks token and ownership by itself.
    return { status: 200, json: await ctx.stats.pageStats(id, period, request.headers.get("authorization") ?? "") };
  });
}

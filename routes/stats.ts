import { periodOf, periodQuery } from "../services/stats/period.ts";
import { type Api, endpoint } from "./http/endpoint.ts";
import { ownPage, pageId, pageParams } from "./pages.ts";
import * as schemas from "../contract/schemas.ts";

export function statsRoutes(api: Api): void {
  endpoint(api, {
    method: "get",
    path: "/pages/{id}/stats",
    access: "signed-in",
    summary:
      "A page's numbers of posts, followers, requests, likes and replies: current and per day; for its owner only",
    tags: ["Pages"],
    params: pageParams,
    query: periodQuery,
    answers: {
      200: { description: "The numbers; a day's numbers are those at its end (UTC)", schema: schemas.PageStats },
    },
  }, async ({ ctx, caller, params, query, request }) => {
    const id = await pageId(ctx, params.id);
    await ownPage(ctx, caller, id);
    const period = periodOf(query, Date.now());
    // The statistics service checks token and ownership.
    return { status: 200, json: await ctx.stats.pageStats(id, period, request.headers.get("authorization") ?? "") };
  });
}

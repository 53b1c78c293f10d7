/** The statistics over HTTP, for the owner of a page; the API forwards the calls. */
import { Hono } from "hono";
import { loadPageActor } from "../../db/pages.ts";
import type { Reader } from "../../db/sql.ts";
import { AppError } from "../../lib/errors.ts";
import { measureRoutes, metricsRoute } from "../../lib/http/measured.ts";
import type { MetricsEndpoint } from "../../lib/http/metrics_endpoint.ts";
import type { Log } from "../../lib/log.ts";
import { blockOf } from "../../db/blocks.ts";
import { currentRequestId } from "../../lib/request_context.ts";
import { problem } from "../../contract/problem.ts";
import { validated } from "../../contract/body.ts";
import { isId } from "../../contract/schemas.ts";
import { periodOf, periodQuery, statsOf } from "./period.ts";
import type { StatsStore } from "./store.ts";
import type { Verifier } from "./verifier.ts";

/** Tolerated clock difference: a token that the node accepts is accepted here. */
const CLOCKS_MS = 60_000;

export interface StatsServiceParts {
  store: StatsStore;
  /** The main database, for the owner of a page: a page may be newer than the last processed event. */
  ledger: Reader;
  verifier: Verifier;
  log: Log;
  /** Missing if `/metrics` is elsewhere. */
  metrics?: MetricsEndpoint | undefined;
}

export function statsService({ store, ledger, verifier, log, metrics }: StatsServiceParts): Hono {
  const app = new Hono();
  const place = (path: string) => ({ instance: path, requestId: currentRequestId(), publicUrl: "", log });

  measureRoutes(app);
  metricsRoute(app, metrics);
  app.get("/healthz", (c) => c.json({ status: "ok" }));

  app.get("/pages/:id/stats", async (c) => {
    const account = await verifier.account(c.req.header("authorization"));
    const id = c.req.param("id").toLowerCase();
    await checkOwner(ledger, id, account);
    const period = periodOf(validated(periodQuery, c.req.query()), Date.now() + CLOCKS_MS);
    if (!await store.position()) {
      throw new AppError("stats-unavailable", "Statistics are being rebuilt; try again", { retryAfter: 2 });
    }
    const stats = statsOf(period, await store.changes(id, period.from, period.to));
    return c.json(stats, 200, { "cache-control": "no-store" });
  });

  app.notFound((c) => problem(new AppError("not-found", "No endpoint has this path"), place(c.req.path)));
  app.onError((error, c) => problem(error, place(c.req.path)));
  return app;
}

/** For any role: staff do not see the statistics of others either. */
async function checkOwner(ledger: Reader, id: string, account: string): Promise<void> {
  const page = isId(id) ? await loadPageActor(ledger, id) : undefined;
  if (!page) throw new AppError("not-found", "The page does not exist");
  const block = blockOf(page, Date.now());
  if (block) throw new AppError("page-blocked");
  if (page.owner.id !== account) throw new AppError("forbidden", "Only the owner of the page can do this");
}

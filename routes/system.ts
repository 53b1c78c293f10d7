import type { Hono } from "hono";
import type { AppContext, ServiceContext } from "../context.ts";
import { ping } from "../db/sql.ts";
import type { Api } from "./http/endpoint.ts";
import { etagOf, matches } from "./http/etag.ts";
import { metricsEndpoint } from "../lib/http/metrics_endpoint.ts";
import { sampled } from "../lib/metrics/samples.ts";
import { nodeSamples } from "./metrics.ts";
import { within } from "../lib/sleep.ts";

/** A part that takes longer counts as unreachable (`docs/limits.md`). */
const CHECK_MS = 1_000;

type Check = "ok" | "failed";

/**
 * A node can serve without these: limits are counted per node, events are read from Postgres, calls wait until every
 * actor has a node.
 */
const DISPENSABLE: ReadonlySet<string> = new Set(["cache", "bus", "stream", "actors"]);

/** Endpoints for machines: liveness, readiness, public keys and metrics. */
export function systemRoutes({ app, ctx, stats }: Pick<Api, "app" | "ctx" | "stats">): void {
  healthRoutes(app, ctx, () => checkParts(ctx));

  app.get("/.well-known/jwks.json", (c) => {
    const text = JSON.stringify(ctx.keys.jwks());
    const headers = { etag: etagOf(text), "cache-control": "public, max-age=60", "content-type": "application/json" };
    if (matches(c.req.header("if-none-match"), headers.etag)) return new Response(null, { status: 304, headers });
    return new Response(text, { headers });
  });

  metricsRoute(app, ctx, stats);
  ctx.metrics.add(() => nodeSamples(ctx));
}

/** The same for a process with only a database and a cache. */
export function serviceRoutes({ app, ctx, stats }: Pick<Api<ServiceContext>, "app" | "ctx" | "stats">): void {
  healthRoutes(app, ctx, () => checkStores(ctx));
  metricsRoute(app, ctx, stats);
}

/** Not here if the process has a port for it. */
function metricsRoute(app: Hono, { metrics, config }: ServiceContext, stats: Api["stats"]): void {
  metrics.add(async () => [[sampled("gauge", "http_requests_under_way", "Requests in progress", stats.underWay)]]);
  if (config.METRICS_PORT !== undefined) return;
  const answer = metricsEndpoint(metrics, config.METRICS_TOKEN);
  app.get("/metrics", (c) => answer(c.req.header("authorization") ?? null));
}

function healthRoutes(app: Hono, ctx: ServiceContext, look: () => Promise<Record<string, Check>>): void {
  // Liveness of the process only: an unavailable database is no reason to restart it.
  app.get("/healthz", () => json(200, { status: "ok" }));

  app.get("/readyz", async () => {
    const checks = await look();
    const failed = Object.keys(checks).filter((part) => checks[part] === "failed");
    const useless = ctx.draining || failed.some((part) => !DISPENSABLE.has(part));
    const status = ctx.draining ? "draining" : useless ? "not-ready" : failed.length > 0 ? "degraded" : "ready";
    const body = { status, checks, ...(status === "degraded" ? { degraded: failed } : {}) };
    return json(useless ? 503 : 200, body, useless ? { "retry-after": "1" } : {});
  });
}

type Part = "sql" | "cache" | "lease" | "actors" | "bus" | "stream";

async function checkParts(ctx: AppContext): Promise<Record<Part, Check>> {
  const [stores, actors] = await Promise.all([checkStores(ctx), check(ctx.actors.reach())]);
  return {
    ...stores,
    // Without a lease it may show nothing from memory and accepts no listeners.
    lease: ctx.gateway.takes ? "ok" : "failed",
    // Whether every actor has a node.
    actors,
    bus: ctx.bus.connected ? "ok" : "failed",
    stream: ctx.stream.stalled ? "failed" : "ok",
  };
}

async function checkStores({ sql, cache }: ServiceContext): Promise<Record<"sql" | "cache", Check>> {
  const [sqlCheck, cacheCheck] = await Promise.all([
    check(ping(sql)),
    check(cache.get("ready")),
  ]);
  return { sql: sqlCheck, cache: cacheCheck };
}

async function check(work: Promise<unknown>): Promise<Check> {
  return await within(CHECK_MS, work.then((): Check => "ok", () => undefined)) ?? "failed";
}

function json(status: number, body: unknown, headers: Record<string, string> = {}): Response {
  return new Response(JSON.stringify(body), {
    status,
    headers: { "content-type": "application/json", "cache-control": "no-store", ...headers },
  });
}

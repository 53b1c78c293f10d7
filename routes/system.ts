import type { AppContext } from "../context.ts";
import type { Api } from "./http/endpoint.ts";
import { etagOf, matches } from "./http/etag.ts";
import { LoopLag, metricsText } from "./metrics.ts";

/** A part that takes longer to answer counts as out of reach (`docs/limits.md`). */
const CHECK_MS = 1_000;

type Check = "ok" | "failed";

/** What machines ask a node: whether it lives, whether to send it work, how its tokens are checked, how it does. */
export function systemRoutes({ app, ctx, stats }: Pick<Api, "app" | "ctx" | "stats">): void {
  // Of the process only: a database that is away is no reason to restart it.
  app.get("/healthz", () => json(200, { status: "ok" }));

  app.get("/readyz", async () => {
    const checks = await checkParts(ctx);
    const ready = !ctx.draining && Object.values(checks).every((check) => check === "ok");
    const status = ctx.draining ? "draining" : ready ? "ready" : "not-ready";
    return json(ready ? 200 : 503, { status, checks }, ready ? {} : { "retry-after": "1" });
  });

  app.get("/.well-known/jwks.json", (c) => {
    const text = JSON.stringify(ctx.keys.jwks());
    const headers = { etag: etagOf(text), "cache-control": "public, max-age=60", "content-type": "application/json" };
    if (matches(c.req.header("if-none-match"), headers.etag)) return new Response(null, { status: 304, headers });
    return new Response(text, { headers });
  });

  const lag = new LoopLag();
  app.get("/metrics", async () => {
    const headers = { "content-type": "text/plain; version=0.0.4; charset=utf-8", "cache-control": "no-store" };
    return new Response(await metricsText(ctx, stats, lag), { headers });
  });
}

async function checkParts(
  { sql, cache, bus, stream }: AppContext,
): Promise<Record<"sql" | "cache" | "bus" | "stream", Check>> {
  const [sqlCheck, cacheCheck] = await Promise.all([
    check(sql.query("select 1 as one", [], "ready")),
    check(cache.get("ready")),
  ]);
  return {
    sql: sqlCheck,
    cache: cacheCheck,
    bus: bus.connected ? "ok" : "failed",
    stream: stream.stalled ? "failed" : "ok",
  };
}

async function check(work: Promise<unknown>): Promise<Check> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<Check>((resolve) => timer = setTimeout(() => resolve("failed"), CHECK_MS));
  return await Promise.race([work.then((): Check => "ok", (): Check => "failed"), late]).finally(() =>
    clearTimeout(timer)
  );
}

function json(status: number, body: unknown, headers: Record<string, string> = {}): Response {
  return new Response(JSON.stringify(body), {
    status,
    headers: { "content-type": "application/json", "cache-control": "no-store", ...headers },
  });
}

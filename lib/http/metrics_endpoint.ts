import { createHash, timingSafeEqual } from "node:crypto";
import type { Log } from "../log.ts";
import type { Metrics } from "../metrics/metrics.ts";
import { Registry } from "../metrics/prom_client.ts";
import { type HttpServer, serveHttp } from "./server.ts";

/** Answers a request for `/metrics` by its `Authorization` header. */
export type MetricsEndpoint = (authorization: string | null) => Promise<Response>;

/** With a token, only for callers that have it. */
export function metricsEndpoint(metrics: Metrics, token: string | undefined): MetricsEndpoint {
  const expected = token === undefined ? undefined : digest(`Bearer ${token}`);
  return async (authorization) => {
    if (expected && !timingSafeEqual(digest(authorization ?? ""), expected)) {
      return new Response("The token of METRICS_TOKEN is missing or wrong\n", {
        status: 401,
        headers: {
          "www-authenticate": "Bearer",
          "content-type": "text/plain; charset=utf-8",
          "cache-control": "no-store",
        },
      });
    }
    const headers = { "content-type": Registry.PROMETHEUS_CONTENT_TYPE, "cache-control": "no-store" };
    return new Response(await metrics.text(), { headers });
  };
}

/** Serves `/metrics` and `/healthz`, and nothing else, at a port of its own. */
export function serveMetrics(
  { hostname, port, log }: { hostname: string; port: number; log: Log },
  endpoint: MetricsEndpoint,
): HttpServer {
  return serveHttp({ hostname, port, log }, async (request) => {
    await request.body?.cancel();
    const { pathname } = new URL(request.url);
    if (pathname !== "/metrics" && pathname !== "/healthz") {
      return new Response("This port serves only /metrics and /healthz\n", { status: 404 });
    }
    if (request.method !== "GET" && request.method !== "HEAD") {
      return new Response(null, { status: 405, headers: { allow: "GET, HEAD" } });
    }
    if (pathname === "/metrics") return await endpoint(request.headers.get("authorization"));
    // For roles without an API: 200 as long as the event loop runs.
    return Response.json({ status: "ok" }, { headers: { "cache-control": "no-store" } });
  });
}

/** Hashes give both sides of a constant-time comparison the same length. */
function digest(text: string): Uint8Array {
  return createHash("sha256").update(text).digest();
}

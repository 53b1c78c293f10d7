import type { Hono } from "hono";
import { routePath } from "hono/route";
import { histogram, secondsSince } from "../metrics/registry.ts";
import type { MetricsEndpoint } from "./metrics_endpoint.ts";

const DURATION = histogram(
  "service_request_duration_seconds",
  "Time from the head of a request to the statistics or storage service to its response",
  ["method", "route", "status"],
);

const METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);

/** Any word can be a method, so unknown ones are counted together. */
export function methodLabel(method: string): string {
  return METHODS.has(method) ? method : "OTHER";
}

/** Measures the requests to a service by its routes. Declared before them. */
export function measureRoutes(app: Hono): void {
  app.use(async (c, next) => {
    const start = performance.now();
    await next();
    const { status } = c.res;
    const labels = { method: methodLabel(c.req.method), route: routePath(c), status: `${Math.floor(status / 100)}xx` };
    DURATION.observe(labels, secondsSince(start));
  });
}

/** Declares `/metrics`, if the service has it. */
export function metricsRoute(app: Hono, endpoint: MetricsEndpoint | undefined): void {
  if (endpoint) app.get("/metrics", (c) => endpoint(c.req.header("authorization") ?? null));
}

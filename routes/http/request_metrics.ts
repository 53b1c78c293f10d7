import { nameRequest, TRACING } from "../../lib/tracing.ts";
import { counter, histogram, secondsSince } from "../../lib/metrics/registry.ts";

const REQUESTS = counter("http_requests_total", "API responses by status class", ["status"]);
const DURATION = histogram(
  "http_request_duration_seconds",
  "Time from the head of a request to its response",
  ["method", "route", "status"],
);

/** Also names its span. `route` is a pattern, never a path. `start` is a time of `performance.now()`. */
export function recordRequest(method: string, route: string, { status }: Response, start: number): void {
  if (TRACING) nameRequest(method.toUpperCase(), route);
  const group = `${Math.floor(status / 100)}xx`;
  REQUESTS.inc({ status: group });
  DURATION.observe({ method: method.toUpperCase(), route, status: group }, secondsSince(start));
}

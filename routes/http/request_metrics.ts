import type { Observations } from "../../lib/metrics/bound_histogram.ts";
import { boundHistogram, counter, secondsSince } from "../../lib/metrics/registry.ts";
import { nameRequest, TRACING } from "../../lib/tracing.ts";

const DURATION = boundHistogram<"method" | "route" | "status">(
  "http_request_duration_seconds",
  "Time from the head of a request to its response",
);

counter("http_requests_total", "API responses by status class", ["status"], function () {
  this.reset();
  for (const { labels, count } of DURATION.all) this.inc({ status: labels["status"]! }, count);
});

/** Records the requests of a route, which is a pattern, never a path. */
export class RouteMetrics {
  readonly #method: string;
  /** By the first digit of the status. */
  readonly #observations: Observations[] = [];

  constructor(method: string, private readonly route: string) {
    this.#method = method.toUpperCase();
  }

  /** Also names the request's span. `start` is a time of `performance.now()`. */
  record({ status }: Response, start: number): void {
    const { route } = this;
    if (TRACING) nameRequest(this.#method, route);
    const group = Math.floor(status / 100);
    this.#observations[group] ??= DURATION.bind({ method: this.#method, route, status: `${group}xx` });
    this.#observations[group].observe(secondsSince(start));
  }
}

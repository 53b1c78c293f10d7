import { hashes } from "../security/passwords.ts";
import type { HostStats } from "../actors/runtime/protocol.ts";
import type { AppContext } from "../context.ts";
import { countBounced, recordedBounces } from "../db/bounces.ts";
import { countJobs } from "../db/jobs.ts";
import { eventLag } from "../db/events.ts";
import { within } from "../lib/sleep.ts";

type HttpStats = { requests: Record<string, number>; underWay: number };
type Sample = [labels: Record<string, string>, value: number];

/** Sampling interval of the event loop's lag. */
const SAMPLE_MS = 200;

/** The maximum lag of this thread's event loop since the last reading. */
export class LoopLag {
  #most = 0;

  constructor() {
    let due = performance.now() + SAMPLE_MS;
    const timer = setInterval(() => {
      const now = performance.now();
      this.#most = Math.max(this.#most, now - due);
      due = now + SAMPLE_MS;
    }, SAMPLE_MS);
    // The timer must not keep a process alive.
    Deno.unrefTimer(timer);
  }

  /** Milliseconds. */
  take(): number {
    const most = this.#most;
    this.#most = 0;
    return most;
  }
}

/** The Prometheus text format, version 0.0.4. A part that does not answer is left out. */
export async function metricsText(
  ctx: AppContext,
  http: HttpStats,
  lag: LoopLag,
): Promise<string> {
  const [hosts, jobs, outbox, cache, bounced] = await Promise.all([
    bounded(ctx.actors.stats()),
    bounded(countJobs(ctx.sql)),
    bounded(eventLag(ctx.sql, ctx.stream.position)),
    bounded(ctx.cache.get("ready")),
    bounded(countBounced(ctx.sql)),
  ]);
  const { sockets, leaseLeftMs, stats: { frames, resets, tooSlow } } = ctx.gateway;
  return [
    ...(hosts ? actorMetrics(hosts) : []),
    metric("gauge", "actor_calls_waiting", "Calls to actors in progress", ctx.actors.waiting),
    metric("gauge", "live_sockets", "Open sockets", sockets),
    metric("counter", "live_frames_total", "Frames sent", frames),
    metric("counter", "live_resets_total", "Listeners that had to read the feed again", resets),
    metric("counter", "live_too_slow_total", "Listeners closed because they were too slow", tooSlow),
    ...(leaseLeftMs === undefined ? [] : [
      metric("gauge", "live_lease_seconds", "Seconds until the lease to send to sockets ends", leaseLeftMs / 1000),
    ]),
    metric("gauge", "stream_position", "The last event this node knows", ctx.stream.position),
    metric("gauge", "stream_stalled", "1 while this node's caches may be stale", Number(ctx.stream.stalled)),
    ...(jobs ? [metric("gauge", "jobs", "Jobs by state", labelled("state", jobs))] : []),
    ...(outbox === undefined
      ? []
      : [metric("gauge", "outbox_events", "Committed events without a sequence number", outbox)]),
    metric("counter", "email_bounces_total", "Bounces that the jobs of this process recorded", recordedBounces()),
    ...(bounced === undefined ? [] : [
      metric(
        "gauge",
        "email_bounced_addresses",
        "Addresses that get no emails after a bounce, of all nodes",
        bounced,
      ),
    ]),
    metric("gauge", "bus_connected", "1 while the bus is connected", Number(ctx.bus.connected)),
    metric("gauge", "cache_reachable", "1 while the cache answers", Number(cache !== undefined)),
    metric("counter", "password_hashes_total", "Password hashes computed", hashes()),
    processMetrics(http, lag),
  ].join("");
}

/** Metrics of every process that answers requests. */
export function processMetrics(http: HttpStats, lag: LoopLag): string {
  const memory = Deno.memoryUsage();
  return [
    metric("counter", "http_requests_total", "Responses by status class", labelled("status", http.requests)),
    metric("gauge", "http_requests_under_way", "Requests in progress", http.underWay),
    metric("gauge", "process_memory_bytes", "Memory of the process", [
      [{ kind: "rss" }, memory.rss],
      [{ kind: "heap" }, memory.heapUsed],
      [{ kind: "external" }, memory.external],
    ]),
    metric(
      "gauge",
      "event_loop_lag_seconds",
      "The latest the event loop ran since the last reading",
      lag.take() / 1000,
    ),
  ].join("");
}

function actorMetrics(hosts: HostStats[]): string[] {
  const sum = (read: (stats: HostStats) => number) => hosts.reduce((total, stats) => total + read(stats), 0);
  const kinds = Object.fromEntries(
    (["user", "page", "feed"] as const).map((kind) => [kind, sum(({ activations }) => activations[kind])]),
  );
  return [
    metric("gauge", "actor_partitions", "Partitions owned by this node", sum(({ partitions }) => partitions)),
    metric("gauge", "actor_activations", "Actors in memory", labelled("kind", kinds)),
    metric("gauge", "actor_mailbox_waiting", "Commands waiting in mailboxes", sum(({ waiting }) => waiting)),
    metric(
      "counter",
      "actor_mailbox_wait_seconds_total",
      "Time commands waited",
      sum(({ mailboxMs }) => mailboxMs) / 1000,
    ),
    metric("counter", "actor_turns_total", "Turns taken", sum(({ turns }) => turns)),
    metric("counter", "actor_commits_total", "Turns that committed", sum(({ commits }) => commits)),
    metric(
      "counter",
      "actor_statements_total",
      "Statements that carried the commits",
      sum(({ statements }) => statements),
    ),
    metric(
      "counter",
      "actor_commit_seconds_total",
      "Time spent in those statements",
      sum(({ commitMs }) => commitMs) / 1000,
    ),
    metric(
      "counter",
      "actor_fenced_total",
      "Turns refused because another node owns the partition",
      sum(({ fenced }) => fenced),
    ),
    metric("counter", "actor_faults_total", "Actors that failed", sum(({ faults }) => faults)),
  ];
}

function labelled(label: string, values: Record<string, number>): Sample[] {
  return Object.entries(values).map(([name, value]) => [{ [label]: name }, value]);
}

/** Labels are constants of this code, so nothing needs escaping. */
function metric(type: "gauge" | "counter", name: string, help: string, value: number | Sample[]): string {
  const samples: Sample[] = typeof value === "number" ? [[{}, value]] : value;
  const lines = samples.map(([labels, n]) => {
    const inner = Object.entries(labels).map(([key, word]) => `${key}="${word}"`).join(",");
    return `rookery_${name}${inner && `{${inner}}`} ${n}\n`;
  });
  return `# HELP rookery_${name} ${help}\n# TYPE rookery_${name} ${type}\n${lines.join("")}`;
}

/** Undefined if it fails or takes longer than a second. */
async function bounded<T>(work: Promise<T>): Promise<T | undefined> {
  return await within(1_000, work.catch(() => undefined));
}

import { hashes } from "../security/passwords.ts";
import type { HostStats } from "../actors/runtime/protocol.ts";
import type { AppContext } from "../context.ts";
import { countBounced, recordedBounces } from "../db/bounces.ts";
import { countJobs } from "../db/jobs.ts";
import { eventLag } from "../db/events.ts";
import { within } from "../lib/sleep.ts";

type HttpStats = { requests: Record<string, number>; underWay: number };
type Sample = [labels: Record<string, string>, value: number];

/** How often the event loop is asked whether it is late. */
const SAMPLE_MS = 200;

/** How late this thread's event loop runs: the most of the time since it was last read. */
export class LoopLag {
  #most = 0;

  constructor() {
    let due = performance.now() + SAMPLE_MS;
    const timer = setInterval(() => {
      const now = performance.now();
      this.#most = Math.max(this.#most, now - due);
      due = now + SAMPLE_MS;
    }, SAMPLE_MS);
    // It must keep no process alive, and a test may build as many as it likes.
    Deno.unrefTimer(timer);
  }

  /** Milliseconds. */
  take(): number {
    const most = this.#most;
    this.#most = 0;
    return most;
  }
}

/** The Prometheus text format, version 0.0.4. A part that cannot be asked now is left out; the rest is still told. */
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
    metric("gauge", "actor_calls_waiting", "Calls to actors under way", ctx.actors.waiting),
    metric("gauge", "live_sockets", "Open sockets", sockets),
    metric("counter", "live_frames_total", "Frames sent", frames),
    metric("counter", "live_resets_total", "Listeners told to read anew", resets),
    metric("counter", "live_too_slow_total", "Listeners let go for being too slow", tooSlow),
    ...(leaseLeftMs === undefined ? [] : [
      metric("gauge", "live_lease_seconds", "How long sockets may still be sent to; 0 while not", leaseLeftMs / 1000),
    ]),
    metric("gauge", "stream_position", "The last event this node knows", ctx.stream.position),
    metric("gauge", "stream_stalled", "1 while this node's caches may be behind", Number(ctx.stream.stalled)),
    ...(jobs ? [metric("gauge", "jobs", "Jobs by state", labelled("state", jobs))] : []),
    ...(outbox === undefined
      ? []
      : [metric("gauge", "outbox_events", "Committed events without a place in the order", outbox)]),
    metric("counter", "email_bounces_total", "Bounces that the jobs of this process recorded", recordedBounces()),
    ...(bounced === undefined
      ? []
      : [metric("gauge", "email_bounced_addresses", "Addresses left alone for a bounce, of all nodes", bounced)]),
    metric("gauge", "bus_connected", "1 while the bus is connected", Number(ctx.bus.connected)),
    metric("gauge", "cache_reachable", "1 while the cache answers", Number(cache !== undefined)),
    metric("counter", "password_hashes_total", "Hashes of passwords, made or compared", hashes()),
    processMetrics(http, lag),
  ].join("");
}

/** What every process can tell that answers calls. */
export function processMetrics(http: HttpStats, lag: LoopLag): string {
  const memory = Deno.memoryUsage();
  return [
    metric("counter", "http_requests_total", "Answers by class of status", labelled("status", http.requests)),
    metric("gauge", "http_requests_under_way", "Requests under way", http.underWay),
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
    metric("gauge", "actor_partitions", "Partitions whose actors are here", sum(({ partitions }) => partitions)),
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

/** Labels hold words of this code only, so nothing in them is to be escaped. */
function metric(type: "gauge" | "counter", name: string, help: string, value: number | Sample[]): string {
  const samples: Sample[] = typeof value === "number" ? [[{}, value]] : value;
  const lines = samples.map(([labels, n]) => {
    const inner = Object.entries(labels).map(([key, word]) => `${key}="${word}"`).join(",");
    return `rookery_${name}${inner && `{${inner}}`} ${n}\n`;
  });
  return `# HELP rookery_${name} ${help}\n# TYPE rookery_${name} ${type}\n${lines.join("")}`;
}

/** Undefined where it fails or takes longer than a second. */
async function bounded<T>(work: Promise<T>): Promise<T | undefined> {
  return await within(1_000, work.catch(() => undefined));
}

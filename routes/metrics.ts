import { hashes } from "../security/passwords.ts";
import type { HostStats } from "../actors/runtime/protocol.ts";
import type { AppContext } from "../context.ts";
import { countBounced, recordedBounces } from "../db/bounces.ts";
import { eventLag } from "../db/events.ts";
import { jobSamples } from "../jobs/metrics.ts";
import { lagSample } from "../lib/metrics/loop_lag.ts";
import { byLabel, type Sample, sampled, type Samples } from "../lib/metrics/samples.ts";
import { within } from "../lib/sleep.ts";

/** A part that takes longer is left out (`docs/limits.md`). */
const PART_MS = 800;

/** The metrics of a node. A part that does not answer is left out. */
export async function nodeSamples(ctx: AppContext): Promise<readonly Samples[]> {
  const [hosts, jobs, outbox, cache, bounced] = await Promise.all([
    bounded(ctx.actors.stats()),
    bounded(jobSamples(ctx.sql)),
    bounded(eventLag(ctx.sql, ctx.stream.position)),
    bounded(ctx.cache.get("ready")),
    bounded(countBounced(ctx.sql)),
  ]);
  const { sockets, leaseLeftMs, stats: { frames, resets, tooSlow } } = ctx.gateway;
  const own = [
    ...(hosts ? actorMetrics(hosts) : []),
    sampled("gauge", "actor_calls_waiting", "Calls to actors in progress", ctx.actors.waiting),
    sampled("gauge", "live_sockets", "Open sockets", sockets),
    sampled("counter", "live_frames_total", "Frames sent", frames),
    sampled("counter", "live_resets_total", "Listeners that had to read the feed again", resets),
    sampled("counter", "live_too_slow_total", "Listeners closed because they were too slow", tooSlow),
    ...(leaseLeftMs === undefined ? [] : [
      sampled("gauge", "live_lease_seconds", "Seconds until the lease of this node ends", leaseLeftMs / 1000),
    ]),
    sampled("gauge", "stream_position", "The last event this node knows", ctx.stream.position),
    sampled("gauge", "stream_stalled", "1 while this node's caches may be stale", Number(ctx.stream.stalled)),
    ...(outbox === undefined
      ? []
      : [sampled("gauge", "outbox_events", "Committed events that this node has not applied yet", outbox)]),
    sampled("counter", "email_bounces_total", "Bounces that the jobs of this process recorded", recordedBounces()),
    ...(bounced === undefined ? [] : [
      sampled(
        "gauge",
        "email_bounced_addresses",
        "Addresses that get no emails after a bounce, of all nodes",
        bounced,
      ),
    ]),
    sampled("gauge", "bus_connected", "1 while the bus is connected", Number(ctx.bus.connected)),
    sampled("gauge", "cache_reachable", "1 while the cache answers", Number(cache !== undefined)),
    sampled("counter", "password_hashes_total", "Password hashes computed", hashes()),
  ];
  return [own, jobs ?? [], ...(hosts ?? []).flatMap(threadSamples)];
}

/** What a worker thread counts by itself. */
function threadSamples({ samples = [], lagMs = 0 }: HostStats, index: number): Samples[] {
  return [samples, [lagSample(`actors-${index}`, lagMs)]];
}

function actorMetrics(hosts: HostStats[]): Sample[] {
  const sum = (read: (stats: HostStats) => number) => hosts.reduce((total, stats) => total + read(stats), 0);
  const kinds = Object.fromEntries(
    (["user", "page", "feed"] as const).map((kind) => [kind, sum(({ activations }) => activations[kind])]),
  );
  return [
    sampled("gauge", "actor_partitions", "Partitions owned by this node", sum(({ partitions }) => partitions)),
    sampled("gauge", "actor_activations", "Actors in memory", byLabel("kind", kinds)),
    sampled("gauge", "actor_mailbox_waiting", "Commands waiting in mailboxes", sum(({ waiting }) => waiting)),
    sampled(
      "counter",
      "actor_mailbox_wait_seconds_total",
      "Time commands waited",
      sum(({ mailboxMs }) => mailboxMs) / 1000,
    ),
    sampled("counter", "actor_turns_total", "Turns taken", sum(({ turns }) => turns)),
    sampled("counter", "actor_commits_total", "Turns that committed", sum(({ commits }) => commits)),
    sampled(
      "counter",
      "actor_statements_total",
      "Statements that carried the commits",
      sum(({ statements }) => statements),
    ),
    sampled(
      "counter",
      "actor_commit_seconds_total",
      "Time spent in those statements",
      sum(({ commitMs }) => commitMs) / 1000,
    ),
    sampled(
      "counter",
      "actor_fenced_total",
      "Turns refused because another node owns the partition",
      sum(({ fenced }) => fenced),
    ),
    sampled("counter", "actor_faults_total", "Actors that failed", sum(({ faults }) => faults)),
  ];
}

/** Undefined if it fails or takes too long. */
async function bounded<T>(work: Promise<T>): Promise<T | undefined> {
  return await within(PART_MS, work.catch(() => undefined));
}

import { finishJob, type Job, renewJob, returnJob } from "../db/jobs.ts";
import type { Sql } from "../db/sql.ts";
import { backoff as exponential } from "../lib/backoff.ts";
import type { Log } from "../lib/log.ts";
import { histogram, secondsSince } from "../lib/metrics/registry.ts";
import { inSpan, TRACING } from "../lib/tracing.ts";
import { type JobKind, JobParked, JobPostponed } from "./kind.ts";

const DURATION = histogram(
  "job_duration_seconds",
  "Time of an attempt of a job",
  ["kind", "outcome"],
  [0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300],
);

export const DEFAULT_CONCURRENCY = 8;
/** Over half a day in total, with the pauses below. */
const MAX_TRIES = 24;
const RETRY_BACKOFF = exponential({ firstMs: 1_000, maxMs: 3_600_000, jitter: [0.5, 1] });
/** A claim is renewed while its job runs. After a crash it expires within this time. */
export const LEASE_MS = 15_000;
const RENEW_MS = 5_000;

/** Returns a job that was claimed while the process stopped, so that another process runs it at once. */
export async function giveBack(sql: Sql, job: Job): Promise<void> {
  await returnJob(sql, job, "waiting", 0, "the process was stopping", false).catch(() => {
    // The claim expires.
  });
}

/**
 * Runs one attempt of a claimed job. Afterwards its row is deleted, waits for the next attempt, or is parked. Never
 * throws.
 */
export async function attempt(
  { sql, log }: { sql: Sql; log: Log },
  { run, maxTries = MAX_TRIES, backoff = RETRY_BACKOFF }: JobKind,
  job: Job,
  signal: AbortSignal,
): Promise<void> {
  const renewing = setInterval(() => void renewJob(sql, job, LEASE_MS).catch(() => {}), RENEW_MS);
  const start = performance.now();
  let outcome = "finished";
  try {
    const work = async () => {
      if (await run(job, signal) !== "finished") await finishJob(sql, job);
    };
    await (TRACING ? inSpan(`job ${job.kind}`, { "rookery.job": job.id }, work) : work());
  } catch (error) {
    const { id, kind, attempts } = job;
    const reason = error instanceof Error ? error.message : String(error);
    const postponed = error instanceof JobPostponed;
    outcome = postponed ? "postponed" : "failed";
    const exhausted = !postponed && attempts >= maxTries;
    const state = error instanceof JobParked ? error.state : exhausted ? "dead" : "waiting";
    // An attempt interrupted by this process's stop is not a failure.
    if (!postponed || !signal.aborted) {
      log.warnOften("job failed", { kind, state }, { job: id, attempts, reason });
    }
    const pauseMs = postponed ? error.pauseMs : backoff(attempts);
    await returnJob(sql, job, state, pauseMs, reason, !postponed).catch(() => {
      // The claim expires.
    });
  } finally {
    DURATION.observe({ kind: job.kind, outcome }, secondsSince(start));
    clearInterval(renewing);
  }
}

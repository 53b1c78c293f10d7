import type { Reader, Writer } from "./sql.ts";

/** The common fields of a job. */
export interface JobRef {
  kind: string;
  id: string;
}

export interface Job extends JobRef {
  payload: Record<string, unknown>;
  /** Includes this attempt. */
  attempts: number;
  /** An earlier attempt ended without a result, as by a crash. */
  abandoned: boolean;
}

/** Identifies a claim. If the claim was lost, or the job has another owner, statements with it change nothing. */
export type Claim = Pick<Job, "id" | "kind" | "attempts">;
const IS_CLAIMED = "id = $1 and kind = $2 and attempts = $3 and state = 'running'";

const CLAIM = (candidates: string) =>
  `with claimable_jobs as materialized (${candidates} for update skip locked)
    update jobs j set state = 'running', attempts = j.attempts + 1, abandoned = false,
      lease_until = now() + $2 * interval '1 millisecond'
    from (select c.id, b.abandoned from claimable_jobs c join jobs b on b.id = c.id) previous where j.id = previous.id
    returning j.id, j.kind, j.payload, j.attempts, previous.abandoned`;

/** Claims due jobs of a kind for some milliseconds, the longest due first. */
export async function claimDueJobs(sql: Writer, kind: string, most: number, leaseMs: number): Promise<Job[]> {
  return await sql.execute<Job>(
    CLAIM("select id from jobs where kind = $1 and state = 'waiting' and run_at <= now() order by run_at limit $3"),
    [kind, leaseMs, most],
    "job.claim_due",
  );
}

/** Claims those of these jobs that wait, due or not. Finished, parked and claimed ones are missing. */
export async function claimJobs(sql: Writer, kind: string, ids: readonly string[], leaseMs: number): Promise<Job[]> {
  return await sql.execute<Job>(
    CLAIM("select id from jobs where kind = $1 and id = any($3::uuid[]) and state = 'waiting'"),
    [kind, leaseMs, [...ids]],
    "job.claim",
  );
}

/** Jobs with expired claims wait again. Returns which of these kinds have due jobs. */
export async function sweepJobs(sql: Writer, kinds: readonly string[]): Promise<string[]> {
  const rows = await sql.execute<{ kind: string }>(
    `with reclaimed_jobs as (
      update jobs set state = 'waiting', abandoned = true, run_at = least(run_at, now()), lease_until = null
      where id in (select id from jobs where state = 'running' and lease_until <= now() for update skip locked)
      returning kind)
    select k.kind from unnest($1::text[]) k (kind)
    where exists (select from jobs j where j.kind = k.kind and j.state = 'waiting' and j.run_at <= now())
      or k.kind in (select kind from reclaimed_jobs)`,
    [[...kinds]],
    "job.sweep",
  );
  return rows.map(({ kind }) => kind);
}

/** Extends a claim to this many milliseconds from now. */
export async function renewJob(sql: Writer, { id, kind, attempts }: Claim, leaseMs: number): Promise<void> {
  await sql.execute(
    `update jobs set lease_until = now() + $4 * interval '1 millisecond' where ${IS_CLAIMED}`,
    [id, kind, attempts, leaseMs],
    "job.renew",
  );
}

/** The ids of due jobs, each at most once in some milliseconds: for a queue that may lose them. */
export async function unnotifiedJobs(sql: Writer, kind: string, most: number, againMs: number): Promise<string[]> {
  const rows = await sql.execute<{ id: string }>(
    `update jobs j set state = 'waiting', run_at = now() + $3 * interval '1 millisecond', lease_until = null
    from (select id from jobs where kind = $1
        and (state = 'waiting' and run_at <= now() or state = 'running' and lease_until <= now())
      order by run_at limit $2 for update skip locked) d
    where j.id = d.id returning j.id`,
    [kind, most, againMs],
    "job.ring",
  );
  return rows.map(({ id }) => id);
}

/** Makes these jobs due again, because their queue did not accept them. */
export async function requeueJobs(sql: Writer, kind: string, ids: readonly string[]): Promise<void> {
  await sql.execute(
    "update jobs set run_at = now() where id = any($1::uuid[]) and kind = $2 and state = 'waiting' and run_at > now()",
    [[...ids], kind],
    "job.requeue",
  );
}

/** Turns a job into one of another kind, with the same id; false if the claim was lost. */
export async function passJobOn(
  sql: Writer,
  { id, kind, attempts }: Claim,
  to: string,
  payload: Record<string, unknown>,
): Promise<boolean> {
  const rows = await sql.execute(
    `update jobs set kind = $4, payload = payload || $5::jsonb, state = 'waiting', attempts = 0, run_at = now(),
      lease_until = null
    where ${IS_CLAIMED} returning id`,
    [id, kind, attempts, to, JSON.stringify(payload)],
    "job.pass_on",
  );
  return rows.length > 0;
}

export async function finishJob(sql: Writer, { id, kind, attempts }: Claim): Promise<void> {
  await sql.execute(`delete from jobs where ${IS_CLAIMED}`, [id, kind, attempts], "job.finish");
}

/**
 * Puts a job back for later, or parks it until an administrator acts: `dead` after its last attempt, `unknown` if the
 * outcome is unclear. With `counts: false` the attempt is not counted.
 */
export async function returnJob(
  sql: Writer,
  { id, kind, attempts }: Claim,
  state: "waiting" | "dead" | "unknown",
  pauseMs: number,
  error: string,
  counts = true,
): Promise<void> {
  await sql.execute(
    `update jobs set state = $4, attempts = attempts - case when $7 then 0 else 1 end,
      run_at = now() + $5 * interval '1 millisecond', lease_until = null, last_error = $6
    where ${IS_CLAIMED}`,
    [id, kind, attempts, state, pauseMs, error.slice(0, 500), counts],
    "job.return",
  );
}

export async function countJobs(sql: Reader): Promise<Record<string, number>> {
  const rows = await sql.query<{ state: string; n: number }>(
    "select state, count(*) as n from jobs group by state",
    [],
    "job.count",
  );
  return Object.fromEntries(rows.map(({ state, n }) => [state, n]));
}

export type JobState = "waiting" | "running" | "dead" | "unknown";

/** A job for administrators: of its payload only the account and the post. */
export interface ListedJob extends JobRef {
  state: JobState;
  attempts: number;
  run_at: string;
  last_error: string | null;
  /** The account and the post of the job. */
  user_id: string | null;
  post_id: string | null;
  created_at: string;
}

const LISTED = "id, kind, state, attempts, run_at, last_error, user_id, payload ->> 'post_id' as post_id, created_at";

export interface JobFilter {
  limit: number;
  state?: JobState | undefined;
  kind?: string | undefined;
  after?: { at: string; id: string } | undefined;
}

/** Newest first. */
export async function listJobs(sql: Reader, { limit, state, kind, after }: JobFilter): Promise<ListedJob[]> {
  return await sql.query<ListedJob>(
    `select ${LISTED} from jobs
    where ($1::text is null or state = $1) and ($2::text is null or kind = $2)
      and ($3::timestamptz is null or (created_at, id) < ($3::timestamptz, $4::uuid))
    order by created_at desc, id desc limit $5`,
    [state ?? null, kind ?? null, after?.at ?? null, after?.id ?? null, limit],
    "job.list",
  );
}

/**
 * Retries a dead job as if it were new; undefined if there is none. A job in `unknown` is not retried: its email may
 * have arrived, and none is sent twice.
 */
export async function retryJob(sql: Writer, id: string): Promise<ListedJob | undefined> {
  const [row] = await sql.execute<ListedJob>(
    `update jobs set state = 'waiting', attempts = 0, run_at = now(), lease_until = null where id = $1
      and state = 'dead'
    returning ${LISTED}`,
    [id],
    "job.retry",
  );
  return row;
}

/** Undefined if the job does not exist or has finished. */
export async function jobState(sql: Reader, id: string): Promise<JobState | undefined> {
  const [row] = await sql.query<{ state: JobState }>("select state from jobs where id = $1", [id], "job.state");
  return row?.state;
}

/** Deletes a parked job; false if there is none. */
export async function dropJob(sql: Writer, id: string): Promise<boolean> {
  const rows = await sql.execute(
    "delete from jobs where id = $1 and state in ('dead', 'unknown') returning id",
    [id],
    "job.drop",
  );
  return rows.length > 0;
}

import type { Sql } from "./sql.ts";

export interface Job {
  id: string;
  kind: string;
  payload: Record<string, unknown>;
  /** This try counted. */
  attempts: number;
  /** `abandoned`: an earlier try ended without saying how, as by a crash. */
  state: "fresh" | "abandoned";
}

/** What a claim is known by: whoever has lost it, or whose job is another's by now, changes nothing. */
export type Claim = Pick<Job, "id" | "kind" | "attempts">;
const HELD = "id = $1 and kind = $2 and attempts = $3 and state = 'running'";

const CLAIMED =
  "j.id, j.kind, j.payload, j.attempts, case due.state when 'running' then 'abandoned' else 'fresh' end as state";

/** Claims due jobs of these kinds for so many milliseconds; a claim that ran out counts as a failed try. */
export async function claimJobs(sql: Sql, kinds: readonly string[], most: number, leaseMs: number): Promise<Job[]> {
  return await sql.query<Job>(
    `with due as materialized (
      select id, state from jobs where kind = any($3::text[])
        and (state = 'waiting' and run_at <= now() or state = 'running' and lease_until <= now())
      order by run_at limit $1 for update skip locked)
    update jobs j set state = 'running', attempts = j.attempts + 1, lease_until = now() + $2 * interval '1 millisecond'
    from due where j.id = due.id
    returning ${CLAIMED}`,
    [most, leaseMs, [...kinds]],
    "job.claim",
  );
}

/** Claims this one, due or not; undefined where it is done, parked or somebody else's. */
export async function claimJob(sql: Sql, id: string, kind: string, leaseMs: number): Promise<Job | undefined> {
  const [job] = await sql.query<Job>(
    `with due as materialized (
      select id, state from jobs where id = $1 and kind = $2
        and (state = 'waiting' or state = 'running' and lease_until <= now()) for update skip locked)
    update jobs j set state = 'running', attempts = j.attempts + 1, lease_until = now() + $3 * interval '1 millisecond'
    from due where j.id = due.id
    returning ${CLAIMED}`,
    [id, kind, leaseMs],
    "job.claim_one",
  );
  return job;
}

/** Keeps a claim for so many milliseconds from now. */
export async function renewJob(sql: Sql, { id, kind, attempts }: Claim, leaseMs: number): Promise<void> {
  await sql.query(
    `update jobs set lease_until = now() + $4 * interval '1 millisecond' where ${HELD}`,
    [id, kind, attempts, leaseMs],
    "job.renew",
  );
}

/** The ids of due jobs, each told once in so many milliseconds: for a queue that may lose them. */
export async function ringJobs(sql: Sql, kind: string, most: number, againMs: number): Promise<string[]> {
  const rows = await sql.query<{ id: string }>(
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

/** What a job came to is work for another kind of it, under the same id; false where the claim was lost. */
export async function passJobOn(
  sql: Sql,
  { id, kind, attempts }: Claim,
  to: string,
  payload: Record<string, unknown>,
): Promise<boolean> {
  const rows = await sql.query(
    `update jobs set kind = $4, payload = payload || $5::jsonb, state = 'waiting', attempts = 0, run_at = now(), lease_until = null
    where ${HELD} returning id`,
    [id, kind, attempts, to, JSON.stringify(payload)],
    "job.pass_on",
  );
  return rows.length > 0;
}

export async function finishJob(sql: Sql, { id, kind, attempts }: Claim): Promise<void> {
  await sql.query(`delete from jobs where ${HELD}`, [id, kind, attempts], "job.finish");
}

/** Puts a job back for later, or where it stays until somebody looks: `dead` after its last try, `unknown` when unclear. Of a try that does not count none is left. */
export async function returnJob(
  sql: Sql,
  { id, kind, attempts }: Claim,
  state: "waiting" | "dead" | "unknown",
  pauseMs: number,
  error: string,
  counts = true,
): Promise<void> {
  await sql.query(
    `update jobs set state = $4, attempts = attempts - case when $7 then 0 else 1 end,
      run_at = now() + $5 * interval '1 millisecond', lease_until = null, last_error = $6
    where ${HELD}`,
    [id, kind, attempts, state, pauseMs, error.slice(0, 500), counts],
    "job.return",
  );
}

/** Milliseconds until the next job of these kinds is due; null when none waits. */
export async function nextJobInMs(sql: Sql, kinds: readonly string[]): Promise<number | null> {
  const [row] = await sql.query<{ ms: number | null }>(
    `select (extract(epoch from min(case state when 'running' then lease_until else run_at end) - now()) * 1000)::float8 as ms
    from jobs where state in ('waiting', 'running') and kind = any($1::text[])`,
    [[...kinds]],
    "job.next",
  );
  return row?.ms ?? null;
}

export async function countJobs(sql: Sql): Promise<Record<string, number>> {
  const rows = await sql.query<{ state: string; n: number }>(
    "select state, count(*) as n from jobs group by state",
    [],
    "job.count",
  );
  return Object.fromEntries(rows.map(({ state, n }) => [state, n]));
}

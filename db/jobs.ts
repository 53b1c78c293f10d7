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

/** Claims due jobs for so many milliseconds; a claim that ran out counts as a failed try. */
export async function claimJobs(sql: Sql, most: number, leaseMs: number): Promise<Job[]> {
  return await sql.query<Job>(
    `with due as materialized (
      select id, state from jobs where state = 'waiting' and run_at <= now() or state = 'running' and lease_until <= now()
      order by run_at limit $1 for update skip locked)
    update jobs j set state = 'running', attempts = j.attempts + 1, lease_until = now() + $2 * interval '1 millisecond'
    from due where j.id = due.id
    returning j.id, j.kind, j.payload, j.attempts, case due.state when 'running' then 'abandoned' else 'fresh' end as state`,
    [most, leaseMs],
    "job.claim",
  );
}

export async function finishJob(sql: Sql, id: string): Promise<void> {
  await sql.query("delete from jobs where id = $1", [id], "job.finish");
}

/** Puts a job back for later, or where it stays until somebody looks: `dead` after its last try, `unknown` when unclear. */
export async function returnJob(
  sql: Sql,
  id: string,
  state: "waiting" | "dead" | "unknown",
  pauseMs: number,
  error: string,
): Promise<void> {
  await sql.query(
    `update jobs set state = $2, run_at = now() + $3 * interval '1 millisecond', lease_until = null, last_error = $4 where id = $1`,
    [id, state, pauseMs, error.slice(0, 500)],
    "job.return",
  );
}

/** Milliseconds until the next job is due; null when none waits. */
export async function nextJobInMs(sql: Sql): Promise<number | null> {
  const [row] = await sql.query<{ ms: number | null }>(
    `select (extract(epoch from min(case state when 'running' then lease_until else run_at end) - now()) * 1000)::float8 as ms
    from jobs where state in ('waiting', 'running')`,
    [],
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

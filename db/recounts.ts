import { eventCtes, eventRow, EVENTS_JSON } from "./turn_statement.ts";
import type { SequencedEvent } from "./event.ts";
import type { Claim } from "./jobs.ts";
import type { Writer } from "./sql.ts";

/**
 * Sends new counts to people whose unread count may have changed because a page was hidden or shown, in limited steps:
 * they can be as many as all followers that the page ever had.
 */
export const RECOUNT_JOB = "notification.recount";

const NOBODY = "00000000-0000-0000-0000-000000000000";

/**
 * Notifications `n` that a page `g` hides with itself: about the page and, if it is an account's personal page, as with
 * the block of the account, about acts of the account: follows and likes.
 */
const TOUCHED = [
  "notifications n where n.page_id = g.id",
  "notifications n where g.is_personal and n.who = g.owner_id and n.kind in ('follower', 'request')",
  `likes l join notifications n on n.about = l.post_id and n.who = l.post_id
    where g.is_personal and l.user_id = g.owner_id`,
];

/** CTEs that create the jobs for the pages `(page_id)` of a CTE; `recount_jobs` has their ids. */
export function beginningRecounts(pages: string): string {
  return `recount_jobs as (
  insert into jobs (id, kind, payload, run_at)
  select gen_random_uuid(), '${RECOUNT_JOB}', jsonb_build_object('page_id', g.id), now()
  from ${pages} e join pages g on g.id = e.page_id
  where ${TOUCHED.map((rows) => `exists (select from ${rows})`).join(" or ")} returning id)`;
}

export interface Recount {
  /** People processed; fewer than requested means the end. */
  seen: number;
  events: SequencedEvent[];
}

/**
 * One step: the next people, up to a maximum; the job stores the position. All or nothing; nothing if the claim was
 * lost.
 */
export async function recountStep(sql: Writer, claim: Claim, most: number): Promise<Recount> {
  const next = TOUCHED.map((rows) =>
    `(select distinct n.user_id from ${rows} and n.user_id > g.after order by n.user_id limit $4)`
  );
  const [row] = await sql.execute<{ seen: number; events: SequencedEvent[] | null }>(
    `with job as materialized (
      select id, payload from jobs where id = $1 and kind = $2 and attempts = $3 and state = 'running' for update),
    page as materialized (
      select g.id, g.owner_id, g.is_personal, coalesce(j.payload->>'after', '${NOBODY}')::uuid as after
      from job j join pages g on g.id = (j.payload->>'page_id')::uuid),
    step as materialized (
      select g.id, g.owner_id, g.is_personal, s.user_id from page g cross join lateral (
        select user_id from (${next.join(" union ")}) x order by user_id limit $4) s),
    -- If something unread is affected, a frame brings the count, which is computed when the frame is made.
    recounted_users as materialized (
      select g.user_id from step g left join notification_settings t on t.user_id = g.user_id
      where ${
      TOUCHED.map((rows) =>
        `exists (select from ${rows} and n.user_id = g.user_id and n.position > coalesce(t.read_position, 0))`
      ).join(" or ")
    }),
    new_position as (
      update jobs set payload = payload || jsonb_build_object('after',
        (select user_id from step order by user_id desc limit 1))
      where id in (select id from job) and exists (select from step) returning 1),
    ${
      eventCtes(eventRow("notifications.read", { user: "user_id", at: "now()", from: "recounted_users" }), [
        "new_position",
      ])
    }
    select (select count(*) from step) as seen, ${EVENTS_JSON} as events`,
    [claim.id, claim.kind, claim.attempts, most],
    "notification.recount",
  );
  return { seen: row?.seen ?? 0, events: row?.events ?? [] };
}

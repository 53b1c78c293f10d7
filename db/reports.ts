import { recording } from "./moderation_log.ts";
import type { Reader, Sql, Writer } from "./sql.ts";
import { CARD, type CardRow } from "./users.ts";
import type { AccountRole } from "./account_role.ts";
import { exactTime } from "./keyset.ts";

export const REPORTED = ["account", "page", "post"] as const;
export const REPORT_STATES = ["open", "taken", "closed"] as const;
export const OUTCOMES = ["acted", "dismissed"] as const;
export type ReportState = typeof REPORT_STATES[number];

/** The target of a report, and its owner. */
export interface Reported {
  kind: typeof REPORTED[number];
  id: string;
  name: string;
  owner_id: string;
}

/** A report as its reporter sees it. */
export interface ReportRow {
  id: string;
  target_kind: Reported["kind"];
  target_id: string;
  target_name: string;
  reason: string;
  state: ReportState;
  created_at: string;
}

/** A report as staff see it. */
export interface HandledReportRow extends ReportRow {
  /** Whether the target was deleted meanwhile. */
  gone: boolean;
  /** Null if the account was deleted. */
  reporter: CardRow | null;
  handler: CardRow | null;
  handler_id: string | null;
  outcome: typeof OUTCOMES[number] | null;
  note: string | null;
  changed_at: string;
  /** The owner of the target must not handle the report; neither may a moderator if the owner is an administrator. */
  owner_id: string;
  owner_role: AccountRole | null;
}

const COLUMNS = "r.id, r.target_kind, r.target_id, r.target_name, r.reason, r.state, r.created_at";
const HANDLED = `${COLUMNS}, r.handler_id, r.outcome, r.note, r.changed_at, r.owner_id,
  (select u.role from users u where u.id = r.owner_id) as owner_role,
  (select ${CARD} from users u where u.id = r.reporter_id) as reporter,
  (select ${CARD} from users u where u.id = r.handler_id) as handler,
  not case r.target_kind when 'account' then exists (select from users u where u.id = r.target_id)
    when 'page' then exists (select from pages p where p.id = r.target_id and p.deleted_at is null)
    else exists (select from posts p where p.id = r.target_id) end as gone`;

/** Open reports per person (`docs/limits.md`); concurrent requests may exceed it slightly. */
export const MAX_WAITING = 50;

/**
 * Creates a report, unless this person has an open one about the same target, which is returned instead. Undefined if
 * too many of theirs are open.
 */
export async function makeReport(
  sql: Writer,
  { id, reporter, reason, target }: { id: string; reporter: string; reason: string; target: Reported },
): Promise<(ReportRow & { made: boolean }) | undefined> {
  // A second round only if another request created the same report between the two reads of the first.
  for (let round = 0; round < 2; round++) {
    const [row] = await sql.execute<ReportRow & { made: boolean }>(
      `with existing_reports as materialized (
        select r.* from reports r
        where r.id = $1 or r.reporter_id = $2 and r.target_kind = $3 and r.target_id = $4 and r.state <> 'closed'
        order by r.id = $1 desc limit 1),
      new_reports as (
        insert into reports (id, reporter_id, target_kind, target_id, target_name, owner_id, reason)
        select $1, $2, $3, $4, $5, $6, $7
        where not exists (select from existing_reports)
          and (select count(*) from reports where reporter_id = $2 and state <> 'closed') < $8
        on conflict do nothing returning *)
      select ${COLUMNS}, r.id = $1 as made from new_reports r union all select ${COLUMNS}, r.id = $1
        from existing_reports r`,
      [id, reporter, target.kind, target.id, target.name, target.owner_id, reason, MAX_WAITING],
      "report.make",
    );
    if (row) return row;
  }
}

export async function reportById(sql: Reader, id: string): Promise<HandledReportRow | undefined> {
  const [row] = await sql.query<HandledReportRow>(
    `select ${HANDLED} from reports r where r.id = $1`,
    [id],
    "report.by_id",
  );
  return row;
}

export interface ReportFilter {
  state: ReportState;
  limit: number;
  after?: { at: string; id: string } | undefined;
}

/** Open reports oldest first; closed ones latest first. `cursor_at` is their time as a cursor has it. */
export async function listReports(
  sql: Reader,
  { state, limit, after }: ReportFilter,
): Promise<(HandledReportRow & { cursor_at: string })[]> {
  const [time, compare, order] = state === "closed" ? ["changed_at", "<", "desc"] : ["created_at", ">", "asc"];
  return await sql.query<HandledReportRow & { cursor_at: string }>(
    `select ${HANDLED}, ${exactTime(`r.${time}`)} as cursor_at from reports r
    where r.state = $1 and ($2::timestamptz is null or (r.${time}, r.id) ${compare} ($2::timestamptz, $3::uuid))
    order by r.${time} ${order}, r.id ${order} limit $4`,
    [state, after?.at ?? null, after?.id ?? null, limit],
    `report.list_${order}`,
  );
}

/** Changes a report and records the act in one statement. False if it was no longer in the required state. */
async function change(
  sql: Writer,
  name: "take" | "release" | "close",
  { from, to }: { from: string; to: string },
  params: readonly (string | boolean | null)[],
): Promise<boolean> {
  const rows = await sql.execute(
    `with previous as materialized (select * from reports where id = $1 and ${from} for update),
    changed_reports as (
      update reports r set ${to}, changed_at = now() from previous where r.id = previous.id
      returning r.*, previous.state as old_state),
    ${
      recording(
        `select 1 as place, 'report.${name}' as act, $2::uuid as by_id, $3::text as by_role, r.note as reason,
          'report' as target_kind, r.id as target_id, r.target_kind || ' ' || r.target_name as target_name,
          jsonb_build_object('state', r.old_state) as before,
          jsonb_strip_nulls(jsonb_build_object('state', r.state, 'outcome', r.outcome,
            'target_id', r.target_id)) as after,
          now() as at from changed_reports r`,
        ["changed_reports"],
      )
    }
    select id from changed_reports`,
    params,
    `report.${name}`,
  );
  return rows.length > 0;
}

interface By {
  id: string;
  role: AccountRole;
}

/** Of several concurrent calls one succeeds. */
export function takeReport(sql: Sql, id: string, by: By): Promise<boolean> {
  return change(sql, "take", { from: "state = 'open'", to: "state = 'taken', handler_id = $2" }, [id, by.id, by.role]);
}

const THEIRS = "(handler_id = $2 or $3 = 'admin')";

/** Back into the queue; an administrator may release reports that others took. */
export function releaseReport(sql: Sql, id: string, by: By): Promise<boolean> {
  return change(sql, "release", { from: `state = 'taken' and ${THEIRS}`, to: "state = 'open', handler_id = null" }, [
    id,
    by.id,
    by.role,
  ]);
}

export function closeReport(
  sql: Sql,
  id: string,
  by: By,
  { outcome, note }: { outcome: typeof OUTCOMES[number]; note: string | null },
): Promise<boolean> {
  return change(sql, "close", {
    from: `(state = 'open' or state = 'taken' and ${THEIRS})`,
    to: "state = 'closed', handler_id = $2, outcome = $4, note = $5",
  }, [id, by.id, by.role, outcome, note]);
}

import { accountChanged } from "./account_events.ts";
import { defineCommit } from "./turn_statement.ts";
import type { ProblemCode } from "../lib/errors.ts";
import { EMAIL_JOB } from "./letters.ts";
import type { Reader, Writer } from "./sql.ts";

export interface OpenSessionRow {
  id: string;
  user_id: string;
  kid: string;
  expires_at: string;
  /** The device: a keyed hash, and a name for its owner. */
  device: { mark: string; name: string };
  /** The address of the email about a new device, if any, and the job that sends it. */
  to: string | null;
  job: string;
  at: string;
}

/** Devices remembered per account; the least recently used are deleted (`docs/limits.md`). */
const MAX_DEVICES = 50;

/**
 * Opens a session and ends the previous one: an account has one session at a time. For a new device, other than the
 * first, the owner gets an email.
 */
export const openSession = defineCommit<OpenSessionRow, { notified: boolean }>("session.open", {
  columns: `id uuid, user_id uuid, kid text, expires_at timestamptz, device jsonb, "to" text, job uuid, at timestamptz`,
  body: `ended_sessions as (
  update sessions s set ended_at = t.at, end_reason = 'token-outdated' from turns t
  where s.user_id = t.user_id and s.ended_at is null returning s.id),
new_sessions as (
  insert into sessions (id, user_id, issued_at, kid, started_at, expires_at)
  -- Counting the ended sessions runs that CTE first: an account has one live session at any moment.
  select id, user_id, at, kid, at, expires_at from turns where (select count(*) from ended_sessions) >= 0),
sign_ins as materialized (
  select t.*, d.mark is not null as known, exists (select from devices o where o.user_id = t.user_id) as used_before
  from turns t left join devices d on d.user_id = t.user_id and d.mark = t.device->>'mark'),
saved_devices as (
  insert into devices (user_id, mark, seen_at) select user_id, device->>'mark', at from sign_ins
  on conflict (user_id, mark) do update set seen_at = excluded.seen_at),
deleted_devices as (
  delete from devices d using (
    select o.user_id, o.mark from sign_ins k cross join lateral (
      select * from devices where user_id = k.user_id order by seen_at desc offset ${MAX_DEVICES}) o
    where not k.known) o
  where d.user_id = o.user_id and d.mark = o.mark),
queued_emails as (
  insert into jobs (id, kind, payload, run_at, user_id)
  select job, '${EMAIL_JOB}', jsonb_build_object('user_id', user_id, 'to', "to",
    'notice', jsonb_build_object('notice', 'new_device', 'device', device->>'name', 'at', at)), at, user_id
  from sign_ins where not known and used_before and "to" is not null
  returning user_id)`,
  events: accountChanged("user_id", "turns"),
  select: `select t.turn, jsonb_build_object('notified',
      exists (select from queued_emails l where l.user_id = t.user_id)) as result
    from turns t`,
  violations: { sessions_user_id_fkey: "credentials-invalid", devices_user_id_fkey: "credentials-invalid" },
});

export interface RefreshSessionRow {
  id: string;
  generation: number;
  kid: string;
  expires_at: string;
  at: string;
}

export const refreshSession = defineCommit<RefreshSessionRow, Record<string, never>>("session.refresh", {
  columns: "id uuid, generation int, kid text, expires_at timestamptz, at timestamptz",
  body: `refreshed_sessions as (
  update sessions s set generation = t.generation, issued_at = t.at, kid = t.kid, expires_at = t.expires_at
  from turns t where s.id = t.id)`,
  events: accountChanged("s.user_id", "turns t join sessions s on s.id = t.id", "t.at"),
  select: "select turn, '{}'::jsonb as result from turns",
});

export type EndReason = "token-outdated" | "session-ended" | "token-reused";

export const endSession = defineCommit<{ id: string; reason: EndReason; at: string }, Record<string, never>>(
  "session.end",
  {
    columns: "id uuid, reason text, at timestamptz",
    body:
      "ended_sessions as (update sessions s set ended_at = t.at, end_reason = t.reason from turns t where s.id = t.id)",
    events: accountChanged("s.user_id", "turns t join sessions s on s.id = t.id", "t.at"),
    select: "select turn, '{}'::jsonb as result from turns",
  },
);

/** Why a session ended. An unknown session counts as an invalid token. */
export async function endReason(sql: Reader, userId: string, sessionId: string): Promise<ProblemCode> {
  const [row] = await sql.query<{ end_reason: EndReason | null }>(
    "select end_reason from sessions where id = $1 and user_id = $2",
    [sessionId, userId],
    "session.end_reason",
  );
  return row ? row.end_reason ?? "session-ended" : "token-invalid";
}

export async function hasSession(sql: Reader, userId: string): Promise<boolean> {
  const rows = await sql.query("select from sessions where user_id = $1 and ended_at is null", [userId], "session.has");
  return rows.length > 0;
}

/** Deletes sessions whose last refresh token has expired. */
export async function pruneSessions(sql: Writer): Promise<void> {
  await sql.execute("delete from sessions where expires_at < now() - interval '1 day'", [], "session.delete_expired");
}

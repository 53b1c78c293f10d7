import { defineCommit } from "../actors/runtime/commit.ts";
import type { ProblemCode } from "../errors.ts";
import type { Reader } from "./sql.ts";

export interface OpenSessionRow {
  id: string;
  user_id: string;
  kid: string;
  expires_at: string;
  at: string;
}

/** Opens a session and ends the one before it (S1-4). */
export const openSession = defineCommit<OpenSessionRow, Record<string, never>>("session.open", {
  columns: "id uuid, user_id uuid, kid text, expires_at timestamptz, at timestamptz",
  body: `ended as (
  update sessions s set ended_at = t.at, end_reason = 'token-outdated' from turns t
  where s.user_id = t.user_id and s.ended_at is null returning s.id),
opened as (
  insert into sessions (id, user_id, issued_at, kid, started_at, expires_at)
  -- Counting the ended makes them end first: an account has one live session at any moment.
  select id, user_id, at, kid, at, expires_at from turns where (select count(*) from ended) >= 0)`,
  select: "select turn, '{}'::jsonb as result from turns",
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
  body: `refreshed as (
  update sessions s set generation = t.generation, issued_at = t.at, kid = t.kid, expires_at = t.expires_at
  from turns t where s.id = t.id)`,
  select: "select turn, '{}'::jsonb as result from turns",
});

export type EndReason = "token-outdated" | "session-ended" | "token-reused";

export const endSession = defineCommit<{ id: string; reason: EndReason; at: string }, Record<string, never>>(
  "session.end",
  {
    columns: "id uuid, reason text, at timestamptz",
    body: "ended as (update sessions s set ended_at = t.at, end_reason = t.reason from turns t where s.id = t.id)",
    select: "select turn, '{}'::jsonb as result from turns",
  },
);

/** Why a session is over; one that nobody knows of is no valid one. */
export async function endReason(sql: Reader, userId: string, sessionId: string): Promise<ProblemCode> {
  const [row] = await sql.query<{ end_reason: EndReason | null }>(
    "select end_reason from sessions where id = $1 and user_id = $2",
    [sessionId, userId],
    "session.end_reason",
  );
  return row ? row.end_reason ?? "session-ended" : "token-invalid";
}

/** Sessions whose last refresh token has expired explain nothing any more. */
export async function deleteExpiredSessions(sql: Reader): Promise<void> {
  await sql.query("delete from sessions where expires_at < now() - interval '1 day'", [], "session.delete_expired");
}

/**
 * Addresses that a mail server reported as nonexistent. Emails that nobody requested are not sent there until the
 * bounce expires, is cleared, or the address accepts an email again. The key is the address in lower case, so a changed
 * email has no bounce.
 */
import { DIGEST_JOB, POST_EMAIL_JOB } from "./deliveries.ts";
import type { Claim } from "./jobs.ts";
import { record, recording } from "./moderation_log.ts";
import type { Reader, Writer } from "./sql.ts";
import type { AccountRole } from "./account_role.ts";

/** Duration of the first bounce. Each further refusal in a row doubles it, up to the maximum (`docs/limits.md`). */
const BOUNCE_MS = 7 * 86_400_000;
const MAX_BOUNCE_MS = 30 * 86_400_000;
/**
 * If this many people were refused in this time, and more than accepted an email, the relay is at fault, not the
 * addresses.
 */
const RELAY_REFUSALS = 10;
const RELAY_WINDOW_MS = 10 * 60_000;

export interface Bounce {
  address: string;
  /** Enhanced status code (RFC 3463). */
  code: string;
  at: string;
  until: string;
}

/** Jobs for the emails about posts, and digests, that failed lately for `people` and have none. */
const PARKED_EMAILS = `insert into jobs (id, kind, payload, run_at, user_id, state, last_error)
      select gen_random_uuid(), '${POST_EMAIL_JOB}', jsonb_build_object('post_id', d.event_id, 'user_id', d.user_id),
        now(), d.user_id, 'dead', $2
      from deliveries d join people on people.id = d.user_id join posts p on p.id = d.event_id
      where d.state = 'failed' and d.at > now() - $1 * interval '1 millisecond'
        and not exists (select from jobs j where j.kind = '${POST_EMAIL_JOB}' and j.user_id = d.user_id
          and j.payload ->> 'post_id' = d.event_id::text)
      union all
      select d.event_id, '${DIGEST_JOB}', jsonb_build_object('user_id', d.user_id), now(), d.user_id, 'dead', $2
      from deliveries d join people on people.id = d.user_id
      where d.state = 'failed' and d.at > now() - $1 * interval '1 millisecond'
        and exists (select from deliveries p where p.digest_id = d.event_id and p.user_id = d.user_id)
      on conflict (id) do nothing`;

let recorded = 0;

/** Number of bounces that this process has recorded, without those for which the relay is at fault. */
export function recordedBounces(): number {
  return recorded;
}

export function countRecordedBounce(): void {
  recorded++;
}

/** Number of addresses with a bounce in force. */
export async function countBounced(sql: Reader): Promise<number> {
  const [row] = await sql.query<{ n: number }>(
    "select count(*)::int as n from bounces where until > now()",
    [],
    "bounce.count",
  );
  return row!.n;
}

/** Returns the end of the bounce. */
export async function recordBounce(sql: Writer, email: string, code: string, reason: string): Promise<string> {
  const [row] = await sql.execute<{ until: string }>(
    `insert into bounces as b (email, reason, code, until)
    values (lower($1), $2, $3, now() + $4 * interval '1 millisecond')
    on conflict (email) do update
      set reason = excluded.reason, code = excluded.code, at = now(), refusals = b.refusals + 1,
      until = now() + least($5, $4 * 2 ^ least(b.refusals, 20)) * interval '1 millisecond'
    returning until`,
    [email, reason.slice(0, 500), code, BOUNCE_MS, MAX_BOUNCE_MS],
    "bounce.record",
  );
  return row!.until;
}

export async function isBounced(sql: Reader, email: string): Promise<boolean> {
  const rows = await sql.query(
    "select 1 from bounces where email = lower($1) and until > now()",
    [email],
    "bounce.is_bounced",
  );
  return rows.length > 0;
}

/** The bounce in force of an account's email. Not of a pending address: that may belong to somebody else. */
export async function bounceOf(sql: Reader, userId: string): Promise<Bounce | null> {
  const [row] = await sql.query<Bounce>(
    `select b.email as address, b.code, b.at, b.until from users u join bounces b on b.email = lower(u.email)
    where u.id = $1 and b.until > now()`,
    [userId],
    "bounce.of_account",
  );
  return row ?? null;
}

/**
 * Cleared by the owner or an administrator. An act on another account is recorded in the moderation log. False if the
 * account does not exist.
 */
export async function liftBounce(sql: Writer, userId: string, by: { id: string; role: AccountRole }): Promise<boolean> {
  const [row] = await sql.execute<{ found: boolean }>(
    `with account as (select id, login, lower(email) as email from users where id = $1),
    lifted_bounces as (delete from bounces b using account a where b.email = a.email
      returning a.id, a.login, b.code, b.until),
    acts as (
      select 1 as turn, $2::uuid as by_id, $3::text as by_role, null::text as reason, now() as at, id, login,
        jsonb_build_object('email_bounce', jsonb_build_object('code', code, 'until', until)) as before
      from lifted_bounces where id <> $2 and until > now()),
    ${
      recording(
        record("account.profile", {
          name: "login",
          before: "before",
          after: `'{"email_bounce": null}'::jsonb`,
          from: "acts",
        }),
        ["lifted_bounces"],
      )
    }
    select exists (select from account) as found`,
    [userId, by.id, by.role],
    "bounce.lift",
  );
  return row!.found;
}

/**
 * Whether so many were refused lately that the mail server itself is at fault: a wrong relay, a lost domain, a block
 * list.
 */
export async function relayRefuses(sql: Reader): Promise<boolean> {
  const [row] = await sql.query<{ refused: number; taken: number }>(
    `select count(distinct user_id) filter (where state = 'failed')::int as refused,
      count(*) filter (where state = 'sent')::int as taken
    from deliveries where at > now() - $1 * interval '1 millisecond'`,
    [RELAY_WINDOW_MS],
    "bounce.relay_refuses",
  );
  return row!.refused >= RELAY_REFUSALS && row!.refused > row!.taken;
}

/**
 * Deletes the job of an email that bounced. False if its bounce has been removed meanwhile: the job then remains. The
 * lock on the bounce makes a removal wait until the job is deleted.
 */
export async function finishBounced(sql: Writer, { id, kind, attempts }: Claim, email: string): Promise<boolean> {
  const [row] = await sql.execute<{ in_force: boolean }>(
    `with bounce as (select email from bounces where email = lower($4) and until > now() for share),
    finished_jobs as (
      delete from jobs using bounce where id = $1 and kind = $2 and attempts = $3 and state = 'running')
    select exists (select from bounce) as in_force`,
    [id, kind, attempts, email],
    "bounce.finish_job",
  );
  return row!.in_force;
}

/**
 * Removes the bounces recorded meanwhile, and parks the emails about posts to these people for an administrator to
 * retry. Returns the number of addresses.
 */
export async function takeBackBounces(sql: Writer, reason: string): Promise<number> {
  const [row] = await sql.execute<{ emails: string[] }>(
    `with deleted_bounces as (
      delete from bounces where at > now() - $1 * interval '1 millisecond' returning email),
    people as (select u.id from users u join deleted_bounces f on f.email = lower(u.email)),
    parked_emails as (
      ${PARKED_EMAILS})
    select coalesce(array_agg(email), '{}') as emails from deleted_bounces`,
    [RELAY_WINDOW_MS, reason.slice(0, 500)],
    "bounce.take_back",
  );
  const { emails } = row!;
  // Jobs that were deleted while the statement waited for their bounces are still there in its snapshot.
  if (emails.length > 0) await parkEmails(sql, emails, reason);
  return emails.length;
}

/** Parks the emails about posts that failed lately for these addresses. */
export async function parkEmails(sql: Writer, emails: readonly string[], reason: string): Promise<void> {
  await sql.execute(
    `with people as (select id from users where lower(email) = any($3::text[]))
    ${PARKED_EMAILS}`,
    [RELAY_WINDOW_MS, reason.slice(0, 500), emails],
    "bounce.park_emails",
  );
}

import { accountChanged } from "./account_events.ts";
import { defineCommit, eventRow } from "./turn_statement.ts";
import { foldLogin } from "../lib/folding.ts";
import { EMAIL_JOB } from "./letters.ts";
import { ACT_COLUMNS, actOn, type ActRow } from "./moderation_log.ts";
import type { AccountRole } from "./account_role.ts";
import type { Reader } from "./sql.ts";

/** What every node caches of an account to authorize its requests. */
export interface AccountSnapshot {
  role: AccountRole;
  verified: boolean;
  blocked_until: string | null;
  blocked_reason: string | null;
  session: { id: string; generation: number } | null;
}

/** A code that was sent: its input, its expiry, and the number of attempts. */
export interface SentCode {
  nonce: string;
  expires_at: string;
  attempts: number;
}

export interface UserRow {
  id: string;
  login: string;
  first_name: string;
  last_name: string;
  email: string;
  email_verified_at: string | null;
  pending_email: string | null;
  /** Identifies the mailbox of the pending address by password (`security/mailbox.ts`). */
  mailbox_mark: string | null;
  role: AccountRole;
  page_id: string;
  avatar_key: string | null;
  password_version: number;
  blocked_until: string | null;
  blocked_reason: string | null;
  created_at: string;
}

const COLUMNS =
  `u.id, u.login, u.first_name, u.last_name, u.email, u.email_verified_at, u.pending_email, u.mailbox_mark, u.role,
  u.page_id, u.avatar_key, u.password_version, u.blocked_until, u.blocked_reason, u.created_at`;

/** The state of a user actor, in one read. */
export interface UserActorRow extends UserRow {
  verify_nonce: string | null;
  verify_expires_at: string | null;
  verify_attempts: number;
  recover_nonce: string | null;
  recover_expires_at: string | null;
  verify_asked_at: string[];
  recover_asked_at: string[];
  change_asked_at: string[];
  session_id: string | null;
  generation: number | null;
  issued_at: string | null;
  kid: string | null;
}

export async function loadUserActor(sql: Reader, id: string): Promise<UserActorRow | undefined> {
  const [row] = await sql.query<UserActorRow>(
    `select ${COLUMNS}, u.verify_nonce, u.verify_expires_at, u.verify_attempts, u.recover_nonce, u.recover_expires_at,
      u.verify_asked_at, u.recover_asked_at, u.change_asked_at, s.id as session_id, s.generation, s.issued_at, s.kid
    from users u left join sessions s on s.user_id = u.id and s.ended_at is null where u.id = $1`,
    [id],
    "user.load",
  );
  return row;
}

/** The account's snapshot by the tables. */
export async function accountSnapshot(sql: Reader, id: string): Promise<AccountSnapshot | null> {
  return (await accountSnapshots(sql, [id])).get(id) ?? null;
}

/** The same for several accounts; deleted ones are missing. */
export async function accountSnapshots(sql: Reader, ids: readonly string[]): Promise<Map<string, AccountSnapshot>> {
  const rows = await sql.query<AccountSnapshot & { id: string }>(
    `select u.id, u.role, u.email_verified_at is not null as verified, u.blocked_until, u.blocked_reason,
      case when s.id is not null then json_build_object('id', s.id, 'generation', s.generation) end as session
    from users u left join sessions s on s.user_id = u.id and s.ended_at is null where u.id = any($1::uuid[])`,
    [[...ids]],
    "user.facets",
  );
  return new Map(rows.map(({ id, ...snapshot }) => [id, snapshot]));
}

export async function userById(sql: Reader, id: string): Promise<UserRow | undefined> {
  const [row] = await sql.query<UserRow>(`select ${COLUMNS} from users u where u.id = $1`, [id], "user.by_id");
  return row;
}

export interface UserFilter {
  limit: number;
  /** After this account in the order of the list. */
  after?: { created_at: string; id: string };
  role?: AccountRole;
  /** A part of login, email or name. */
  q?: string;
}

/** Newest first. */
export async function listUsers(sql: Reader, { limit, after, role, q }: UserFilter): Promise<UserRow[]> {
  return await sql.query<UserRow>(
    `select ${COLUMNS} from users u
    where ($2::timestamptz is null or (u.created_at, u.id) < ($2::timestamptz, $3::uuid))
      and ($4::text is null or u.role = $4)
      and ($5::text is null
        or strpos(lower(u.login || ' ' || u.email || ' ' || u.first_name || ' ' || u.last_name), lower($5)) > 0)
    order by u.created_at desc, u.id desc limit $1`,
    [limit, after?.created_at ?? null, after?.id ?? null, role ?? null, q ?? null],
    "user.list",
  );
}

/** The accounts of these logins, by login in lower case; missing ones are left out. */
export async function accountsByLogin(
  sql: Reader,
  logins: readonly string[],
): Promise<Map<string, { id: string; login: string }>> {
  const rows = await sql.query<{ login: string; id: string }>(
    "select login, id from users where lower(login) = any($1::text[])",
    [logins.flatMap((login) => foldLogin(login) ?? [])],
    "user.by_logins",
  );
  return new Map(rows.map((row) => [row.login.toLowerCase(), row]));
}

export async function hasUsers(sql: Reader): Promise<boolean> {
  return (await sql.query("select 1 from users limit 1")).length > 0;
}

export interface CardRow {
  id: string;
  login: string;
  first_name: string;
  last_name: string;
  page_id: string;
  avatar_key: string | null;
}

/** The card of `users u`, as JSON. */
export const CARD =
  `json_build_object('id', u.id, 'login', u.login, 'first_name', u.first_name, 'last_name', u.last_name,
    'page_id', u.page_id, 'avatar_key', u.avatar_key)`;

/** The public card, by login. Blocked people keep theirs. */
export async function cardByLogin(sql: Reader, login: string): Promise<CardRow | undefined> {
  const [row] = await sql.query<CardRow>(
    "select id, login, first_name, last_name, page_id, avatar_key from users where lower(login) = $1",
    [foldLogin(login) ?? ""],
    "user.card_by_login",
  );
  return row;
}

export interface RegisterRow {
  id: string;
  login: string;
  password_hash: string;
  first_name: string;
  last_name: string;
  email: string;
  role: AccountRole;
  page_id: string;
  verified_at: string | null;
  verify_nonce: string | null;
  verify_expires_at: string | null;
  letter_job: string;
  expire_job: string;
  expire_at: string;
  at: string;
}

/** Creates an account with its personal page, the email with its code, and the date of its deletion unless verified. */
export const registerUser = defineCommit<RegisterRow, { login_taken: boolean; email_taken: boolean }>("user.register", {
  columns:
    `id uuid, login text, password_hash text, first_name text, last_name text, email text, role text, page_id uuid,
    verified_at timestamptz, verify_nonce text, verify_expires_at timestamptz, letter_job uuid, expire_job uuid,
    expire_at timestamptz, at timestamptz`,
  body: `availability as materialized (
  select t.turn, exists (select from handles h where h.handle = lower(t.login)) as login_taken,
    exists (select from users u where lower(u.email) = lower(t.email)) as email_taken
  from turns t),
new_accounts as materialized (select t.* from turns t join availability k on k.turn = t.turn
  where not k.login_taken and not k.email_taken),
new_handles as (insert into handles (handle, user_id) select lower(login), id from new_accounts),
new_users as (
  insert into users (id, login, password_hash, first_name, last_name, email, email_verified_at, role, page_id,
    verify_nonce,
    verify_expires_at, created_at)
  select id, login, password_hash, first_name, last_name, email, verified_at, role, page_id, verify_nonce,
    verify_expires_at, at
  from new_accounts),
new_pages as (
  insert into pages (id, owner_id, is_personal, uuid, name, created_at)
  select page_id, id, true, login, first_name || ' ' || last_name, at from new_accounts),
queued_emails as (
  insert into jobs (id, kind, payload, run_at, user_id)
  select letter_job, '${EMAIL_JOB}',
    jsonb_build_object('letter', 'verify', 'user_id', id, 'nonce', verify_nonce, 'to', email), at, id
  from new_accounts where verify_nonce is not null),
expiry_jobs as (
  insert into jobs (id, kind, payload, run_at, user_id)
  select expire_job, 'user.expire', jsonb_build_object('user_id', id), expire_at, id from new_accounts
    where verified_at is null)`,
  select: `select turn, jsonb_build_object('login_taken', login_taken, 'email_taken', email_taken) as result
      from availability`,
  refused: "(a.result->>'login_taken')::boolean or (a.result->>'email_taken')::boolean",
  violations: {
    // The first try of a repeated request was written after all; its receipt has the result.
    users_pkey: "idempotency-key-running",
    handles_pkey: "login-taken",
    users_login: "login-taken",
    pages_uuid: "login-taken",
    users_email: "email-taken",
  },
});

export interface CodeRow {
  id: string;
  purpose: "verify" | "recover";
  nonce: string;
  expires_at: string;
  /** When codes of this purpose were requested, within the time that counts. */
  asked_at: string[];
  to: string;
  job: string;
  at: string;
}

/** Sends a new code of a purpose by email, and invalidates the older one. */
export const sendCode = defineCommit<CodeRow, Record<string, never>>("user.send_code", {
  columns: `id uuid, purpose text, nonce text, expires_at timestamptz, asked_at timestamptz[], "to" text, job uuid,
      at timestamptz`,
  body: `new_codes as (
  update users u set
    verify_nonce = case when t.purpose = 'verify' then t.nonce else u.verify_nonce end,
    verify_expires_at = case when t.purpose = 'verify' then t.expires_at else u.verify_expires_at end,
    verify_attempts = case when t.purpose = 'verify' then 0 else u.verify_attempts end,
    recover_nonce = case when t.purpose = 'recover' then t.nonce else u.recover_nonce end,
    recover_expires_at = case when t.purpose = 'recover' then t.expires_at else u.recover_expires_at end,
    verify_asked_at = case when t.purpose = 'verify' then t.asked_at else u.verify_asked_at end,
    recover_asked_at = case when t.purpose = 'recover' then t.asked_at else u.recover_asked_at end
  from turns t where u.id = t.id),
queued_emails as (
  insert into jobs (id, kind, payload, run_at, user_id)
  select job, '${EMAIL_JOB}', jsonb_build_object('letter', purpose, 'user_id', id, 'nonce', nonce, 'to', "to"), at, id
    from turns)`,
  select: "select turn, '{}'::jsonb as result from turns",
});

/** An incorrect code is counted before the response. */
export const countGuess = defineCommit<{ id: string }, Record<string, never>>("user.count_guess", {
  columns: "id uuid",
  body:
    `counted_guesses as (update users u set verify_attempts = u.verify_attempts + 1 from turns t where u.id = t.id)`,
  select: "select turn, '{}'::jsonb as result from turns",
});

/** An email about a change of an account: the address, if any, and the job that sends it. */
interface NoticeRow {
  to: string | null;
  job: string;
}
const NOTICE_COLUMNS = `"to" text, job uuid`;
const NOTICE_EMAILS = (notice: string, to = '"to"', job = "job") =>
  `notice_emails as (
  insert into jobs (id, kind, payload, run_at, user_id)
  select ${job}, '${EMAIL_JOB}', jsonb_build_object('user_id', id, 'to', ${to},
    'notice', jsonb_build_object('notice', '${notice}', 'at', at)), at, id from turns where ${to} is not null)`;
/** Invalidates all codes, whatever address they were sent to. */
const NO_CODES =
  `verify_nonce = null, verify_expires_at = null, verify_attempts = 0, recover_nonce = null, recover_expires_at = null`;

/**
 * The code was correct: a pending email becomes the account's email, and the account is permanently verified. The
 * previous address gets a notice.
 */
export const verifyUser = defineCommit<NoticeRow & { id: string; email: string; at: string }, Record<string, never>>(
  "user.verify",
  {
    columns: `id uuid, email text, ${NOTICE_COLUMNS}, at timestamptz`,
    body: `verified_users as (
  update users u set email = t.email, pending_email = null, mailbox_mark = null,
    email_verified_at = coalesce(u.email_verified_at, t.at), ${NO_CODES}
  from turns t where u.id = t.id),
deleted_expiry_jobs as (delete from jobs j using turns t where j.user_id = t.id and j.kind = 'user.expire'),
${NOTICE_EMAILS("email_changed")}`,
    events: accountChanged("id", "turns"),
    select: "select turn, '{}'::jsonb as result from turns",
    violations: { users_email: "email-taken" },
  },
);

/** A new password ends the session and invalidates earlier codes. */
export const changePassword = defineCommit<
  NoticeRow & { id: string; password_hash: string; mailbox_mark: string | null; at: string },
  Record<string, never>
>(
  "user.change_password",
  {
    columns: `id uuid, password_hash text, mailbox_mark text, ${NOTICE_COLUMNS}, at timestamptz`,
    body: `changed_users as (
  update users u set password_hash = t.password_hash, password_version = u.password_version + 1,
    mailbox_mark = t.mailbox_mark, ${NO_CODES}
  from turns t where u.id = t.id),
ended_sessions as (
  update sessions s set ended_at = t.at, end_reason = 'session-ended' from turns t where s.user_id = t.id
    and s.ended_at is null),
${NOTICE_EMAILS("password_changed")}`,
    events: accountChanged("id", "turns"),
    select: "select turn, '{}'::jsonb as result from turns",
  },
);

export interface ProfileRow extends ActRow {
  id: string;
  first_name: string;
  last_name: string;
  /** The email that waits for its code, or null. */
  pending_email: string | null;
  mailbox_mark: string | null;
  /** Null invalidates the code. */
  nonce: string | null;
  expires_at: string | null;
  /** When changes of the email were requested, within the time that counts. */
  asked_at: string[];
  /** The address of the code and the job that sends it; null sends none. */
  to: string | null;
  job: string;
  /** The verified address that gets a notice of the change, if any, and the job that sends it. */
  notice_to: string | null;
  notice_job: string;
  /** Whether the shown name changed, so that listeners get an event. */
  renamed: boolean;
  at: string;
}

export const updateProfile = defineCommit<ProfileRow, Record<string, never>>("user.update_profile", {
  columns: `id uuid, first_name text, last_name text, pending_email text, mailbox_mark text, nonce text,
      expires_at timestamptz,
    asked_at timestamptz[], "to" text, job uuid, notice_to text, notice_job uuid, renamed boolean, at timestamptz,
      ${ACT_COLUMNS}`,
  body: `changed_users as (
  update users u set first_name = t.first_name, last_name = t.last_name, pending_email = t.pending_email,
    mailbox_mark = t.mailbox_mark, change_asked_at = t.asked_at,
    verify_nonce = t.nonce, verify_expires_at = t.expires_at, verify_attempts = case
      when u.verify_nonce is not distinct from t.nonce then u.verify_attempts else 0 end
  from turns t where u.id = t.id),
queued_emails as (
  insert into jobs (id, kind, payload, run_at, user_id)
  select job, '${EMAIL_JOB}', jsonb_build_object('letter', 'verify', 'user_id', id, 'nonce', nonce, 'to', "to"), at, id
  from turns where "to" is not null),
${NOTICE_EMAILS("email_change_asked", "notice_to", "notice_job")}`,
  records: actOn("account.profile", "turns"),
  events: eventRow("page.updated", {
    page: "p.id",
    at: "t.at",
    from: "turns t join pages p on p.owner_id = t.id where t.renamed",
  }),
  select: "select turn, '{}'::jsonb as result from turns",
});

import type { Claim, JobRef } from "./jobs.ts";
import type { Sql, Writer } from "./sql.ts";

/** Creates the emails about a new post for the followers of its page, in limited steps. */
export const EXPAND_JOB = "post.letters";
/** An email about one post to one follower. */
export const POST_EMAIL_JOB = "post.letter";
/** An email about the posts of a day to one follower. */
export const DIGEST_JOB = "post.digest";

/**
 * `due` and `digest`: not sent; `sending`: possibly sent; `failed`: refused by the server; `skipped`: no longer to be
 * sent.
 */
export type DeliveryState = "due" | "digest" | "sending" | "sent" | "skipped" | "failed" | "unknown";

/** An email is identified by its subject and its recipient. */
export interface DeliveryKey {
  /** A post. For a digest or any other email, the job. */
  event: string;
  user: string;
}

/** The id of a digest's job: the same for all posts in the digest. */
const DIGEST_ID = (user: string, at: string) => `md5(${user}::text || ${at}::text)::uuid`;
const DIGEST_OF = (rows: string, at: string) =>
  `insert into jobs (id, kind, payload, run_at, user_id)
  select distinct ${
    DIGEST_ID("d.user_id", at)
  }, '${DIGEST_JOB}', jsonb_build_object('user_id', d.user_id), ${at}::timestamptz, d.user_id
  from ${rows} d on conflict (id) do nothing returning 1`;

/** Who may get emails about posts: the address is verified and accepts emails, the account is not blocked. */
const REACHABLE = `u.email_verified_at is not null and (u.blocked_until is null or u.blocked_until <= now())
      and not exists (select from bounces b where b.email = lower(u.email) and b.until > now())`;

/**
 * CTEs that add emails and their jobs to the ledger, from `step`: rows of (event_id, published_at, user_id,
 * created_at), where `created_at` is when the person started to follow. `queued_emails` has the jobs that are due now.
 * `digestAt` is SQL.
 */
export function emailCtes(digestAt: string): string {
  return `ledger as (
      insert into deliveries (event_id, user_id, state, digest_id)
      select s.event_id, s.user_id, case when n.letters = 'daily' then 'digest' else 'due' end,
        case when n.letters = 'daily' then ${DIGEST_ID("s.user_id", digestAt)} end
      from step s join users u on u.id = s.user_id left join notification_settings n on n.user_id = s.user_id
      where s.created_at <= s.published_at and coalesce(n.letters, 'at_once') <> 'never' and ${REACHABLE}
      on conflict do nothing returning event_id, user_id, state),
    queued_emails as (
      insert into jobs (id, kind, payload, run_at, user_id)
      select gen_random_uuid(), '${POST_EMAIL_JOB}', jsonb_build_object('post_id', event_id, 'user_id', user_id),
        now(), user_id
      from ledger where state = 'due' returning id),
    digests as (${DIGEST_OF("(select * from ledger where state = 'digest')", digestAt)})`;
}

export interface Expansion {
  /** Followers processed; fewer than requested means the end. */
  seen: number;
  /** Emails that can be sent now. */
  letters: JobRef[];
}

/**
 * One step: adds rows and jobs for the next followers of a post's page, up to a maximum, and stores the position in the
 * expansion's job. Only followers from the time of publication count. All or nothing; nothing if the claim was lost.
 */
export async function expandPost(sql: Writer, claim: Claim, most: number, digestAt: string): Promise<Expansion> {
  const [row] = await sql.execute<{ seen: number; letters: string[] }>(
    `with job as materialized (
      select id, payload from jobs where id = $1 and kind = $2 and attempts = $3 and state = 'running' for update),
    post as materialized (
      select p.id, p.page_id, p.published_at,
        coalesce(j.payload->>'after', '00000000-0000-0000-0000-000000000000')::uuid as after
      from job j join posts p on p.id = (j.payload->>'post_id')::uuid join pages g on g.id = p.page_id
      where p.state = 'ready' and g.deleted_at is null),
    step as materialized (
      select p.id as event_id, p.published_at, f.* from post p cross join lateral (
        select user_id, created_at from follows where page_id = p.page_id and user_id > p.after and state = 'following'
        order by user_id limit $4) f),
    ${emailCtes("$5")},
    new_position as (
      update jobs set payload = payload || jsonb_build_object('after',
        (select user_id from step order by user_id desc limit 1))
      where id in (select id from job) and exists (select from step))
    select (select count(*) from step) as seen, array(select id::text from queued_emails) as letters`,
    [claim.id, claim.kind, claim.attempts, most, digestAt],
    "delivery.expand",
  );
  return { seen: row?.seen ?? 0, letters: (row?.letters ?? []).map((id) => ({ kind: POST_EMAIL_JOB, id })) };
}

/** The content of an email about a post. */
export interface EmailPost {
  id: string;
  text: string;
  photos: number;
  is_reply: boolean;
  page: string;
  author: string;
  published_at: string;
}

/** An `EmailPost` of the post `p`. */
const EMAIL_POST =
  `jsonb_build_object('id', p.id, 'text', p.text, 'photos', p.photo_count, 'is_reply', p.reply_to is not null,
  'page', g.name, 'author', a.first_name || ' ' || a.last_name, 'published_at', p.published_at)`;
/** Posts `p` that a follower `d.user_id` may see and still follows. */
const FOLLOWED_POSTS = `join posts p on p.id = d.event_id and p.state = 'ready'
      join visible_pages(d.user_id) g on g.id = p.page_id join users a on a.id = g.owner_id
      join follows f on f.page_id = g.id and f.user_id = d.user_id and f.state = 'following'`;

/**
 * The state of a row before sending. A row in `sending` may have been sent by an attempt without a result: it is sent
 * again only if the server drops duplicates (`repeats`).
 */
const NEXT_STATE = (state: string, repeats: string, sends: string) =>
  `case when ${state} = 'sending' and not ${repeats} then 'unknown'
      when ${state} in ('sent', 'unknown', 'skipped') then ${state}
      when ${sends} then 'sending' else 'skipped' end`;

export interface Begun {
  /** `sending`: send it now. */
  state: DeliveryState;
  email: string | null;
}

/**
 * Records that an email is about to be sent, and checks again whether to send it. `digestAt`: the time of the next
 * digest.
 */
export async function beginPostEmail(
  sql: Writer,
  { event, user }: DeliveryKey,
  repeats: boolean,
  digestAt: string,
): Promise<Begun & { post: EmailPost | null }> {
  const [row] = await sql.execute<Begun & { post: EmailPost | null }>(
    `with target as materialized (select * from deliveries where event_id = $1 and user_id = $2 for update),
    post_email as materialized (
      select u.email, ${EMAIL_POST} as post, coalesce(n.letters, 'at_once') as letters
      from target d ${FOLLOWED_POSTS} join users u on u.id = d.user_id
        left join notification_settings n on n.user_id = u.id
      where coalesce(n.letters, 'at_once') <> 'never' and ${REACHABLE}),
    -- A person who has changed to digests gets the post in a digest.
    next as materialized (
      select t.*, case
        when t.state <> 'sending' and exists (select from post_email where letters = 'daily') then 'digest'
        else ${NEXT_STATE("t.state", "$3::boolean", "exists (select from post_email)")} end as next from target t),
    marked_deliveries as (
      update deliveries d set state = n.next, at = now(), digest_id = case when n.next = 'digest' then ${
      DIGEST_ID("d.user_id", "$4")
    } end
      from next n where d.event_id = n.event_id and d.user_id = n.user_id returning d.state),
    digests as (${DIGEST_OF("(select * from next where next = 'digest')", "$4")})
    select m.state, l.email, l.post from marked_deliveries m left join post_email l on true`,
    [event, user, repeats, digestAt],
    "delivery.begin",
  );
  return row ?? { state: "skipped", email: null, post: null };
}

export interface DigestEmail extends Begun {
  /** The newest posts, up to the requested number. */
  posts: EmailPost[];
  /** The total number. */
  total: number;
}

/** The same for a digest, whose job is its event. */
export async function beginDigest(
  sql: Sql,
  { event, user }: DeliveryKey,
  repeats: boolean,
  most: number,
): Promise<DigestEmail> {
  await beginRow(sql, { event, user });
  const [row] = await sql.execute<DigestEmail>(
    `with target as materialized (select * from deliveries where event_id = $1 and user_id = $2 for update),
    person as materialized (
      select u.email from users u left join notification_settings n on n.user_id = u.id
      where u.id = $2 and coalesce(n.letters, 'at_once') <> 'never' and ${REACHABLE}),
    digest_posts as materialized (
      select ${EMAIL_POST} as post, row_number() over (order by p.published_at desc, p.id desc) as place,
        count(*) over () as total
      from deliveries d ${FOLLOWED_POSTS} where d.digest_id = $1 and d.user_id = $2 and d.state = 'digest'),
    marked_deliveries as (
      update deliveries d set state = ${
      NEXT_STATE("t.state", "$3::boolean", "exists (select from person) and exists (select from digest_posts)")
    }, at = now()
      from target t where d.event_id = t.event_id and d.user_id = t.user_id returning d.state)
    select m.state, (select email from person) as email, coalesce((select max(total) from digest_posts), 0) as total,
      coalesce((select jsonb_agg(t.post order by t.place) from digest_posts t where t.place <= $4), '[]') as posts
    from marked_deliveries m`,
    [event, user, repeats, most],
    "delivery.begin_digest",
  );
  return row ?? { state: "skipped", email: null, posts: [], total: 0 };
}

/** The same for an email that is always sent, to the address in its job. */
export async function beginEmail(sql: Sql, { event, user }: DeliveryKey, repeats: boolean): Promise<DeliveryState> {
  await beginRow(sql, { event, user });
  const [row] = await sql.execute<{ state: DeliveryState }>(
    `update deliveries set state = ${NEXT_STATE("state", "$3::boolean", "true")}, at = now()
    where event_id = $1 and user_id = $2 returning state`,
    [event, user, repeats],
    "delivery.begin_letter",
  );
  return row?.state ?? "skipped";
}

async function beginRow(sql: Writer, { event, user }: DeliveryKey): Promise<void> {
  await sql.execute(
    "insert into deliveries (event_id, user_id, state) values ($1, $2, 'due') on conflict do nothing",
    [event, user],
    "delivery.enter",
  );
}

/** Records the result of an email that was not accepted. The posts of a digest get the same state. */
export async function recordDelivery(sql: Writer, { event, user }: DeliveryKey, state: DeliveryState): Promise<void> {
  await sql.execute(
    `update deliveries set state = $3, at = now()
    where event_id = $1 and user_id = $2 or digest_id = $1 and user_id = $2 and state = 'digest' and $3 = 'unknown'`,
    [event, user, state],
    "delivery.settle",
  );
}

/** The server accepted the email: updates the row and deletes the job and the bounce in one statement. */
export async function finishDelivery(sql: Writer, { event, user }: DeliveryKey, job: Claim, to: string): Promise<void> {
  await sql.execute(
    `with sent_deliveries as (
      update deliveries set state = 'sent', at = now()
      where event_id = $1 and user_id = $2 or digest_id = $1 and user_id = $2 and state = 'digest'),
    lifted_bounces as (delete from bounces where email = lower($6))
    delete from jobs where id = $3 and kind = $4 and attempts = $5 and state = 'running'`,
    [event, user, job.id, job.kind, job.attempts, to],
    "delivery.finish",
  );
}

/** Deletes old rows, in limited batches. */
export async function pruneDeliveries(sql: Writer, keptMs: number, most: number): Promise<number> {
  const rows = await sql.execute(
    `delete from deliveries where (event_id, user_id) in (
      select event_id, user_id from deliveries where at < now() - $1 * interval '1 millisecond' order by at limit $2)
    returning 1`,
    [keptMs, most],
    "delivery.forget",
  );
  return rows.length;
}

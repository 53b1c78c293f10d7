import type { SequencedEvent } from "./event.ts";
import { eventCtes, eventRow, EVENTS_JSON } from "./turn_statement.ts";
import { emailCtes, EXPAND_JOB, POST_EMAIL_JOB } from "./deliveries.ts";
import type { JobRef } from "./jobs.ts";
import { beginningRecounts, RECOUNT_JOB } from "./recounts.ts";
import type { Writer } from "./sql.ts";

/** The maximum number of people in a notification of likes. */
const MAX_NAMED = 3;
/** The same act of the same person, undone and repeated, is notified again after this time. */
const AGAIN = "interval '1 day'";

/** A page with at most this many followers needs no job to create its emails. */
const FEW = 20;

/** The notifications of events: `(user_id, kind, page_id, post_id, about, who, actors, at, seq)`. */
const ACTS = `
  select g.owner_id as user_id, case e.data->>'state' when 'following' then 'follower' else 'request' end as kind,
    e.page_id, null::uuid as post_id, e.page_id as about, e.user_id as who, array[e.user_id] as actors, e.at, e.seq
  from batch e join pages g on g.id = e.page_id
  where e.kind = 'follow.changed' and e.data->>'state' in ('following', 'requested') and e.data->'accepted' is null
  union all
  select e.user_id, 'accepted', e.page_id, null, e.page_id, g.owner_id, array[g.owner_id], e.at, e.seq
  from batch e join pages g on g.id = e.page_id where e.kind = 'follow.changed' and (e.data->'accepted')::boolean
  union all
  select g.owner_id, 'like', e.page_id, e.post_id, e.post_id, e.post_id, l.likers, e.at, e.seq
  from batch e join pages g on g.id = e.page_id
  cross join lateral (
    select array_agg(l.id::uuid order by l.place) as likers
      from jsonb_array_elements_text(e.data->'likers') with ordinality l (id, place)
    -- Likes that were removed meanwhile are not notified.
    where l.id::uuid <> g.owner_id
      and exists (select from likes k where k.post_id = e.post_id and k.user_id = l.id::uuid)) l
  where e.kind = 'post.likes' and e.data ? 'likers'
  union all
  select o.owner_id, 'reply', c.page_id, c.id, c.id, c.id, array[c.owner_id], c.at, c.seq
  from written_posts c join posts original on original.id = c.reply_to join pages o on o.id = original.page_id
  where c.kind = 'post.created' and c.reply_to is not null
  union all
  select t.id, 'tag', c.page_id, c.id, c.id, c.id, array[c.owner_id], c.at, c.seq
  from written_posts c cross join lateral unnest(c.tagged) t (id)
  -- The author of the original gets the notification of the reply instead.
  where not exists (
    select from posts original join pages o on o.id = original.page_id where original.id = c.reply_to
      and o.owner_id = t.id)`;

/**
 * Whose unread count an event may also change, because the subject of a notification was undone or changed. Likes only
 * if they did not increase. Hiding or showing a page may affect very many people and is done by a job.
 */
const TOUCHED = `
  select n.user_id, n.position from batch e join notifications n on n.about = e.page_id and n.who = e.user_id
  where e.kind = 'follow.changed'
  union all
  select n.user_id, n.position from batch e join notifications n on n.page_id = e.page_id and n.user_id = e.user_id
  where e.kind = 'follow.changed'
  union all
  select n.user_id, n.position from batch e join notifications n on n.about = e.post_id
  where e.kind in ('post.deleted', 'post.updated')
    or e.kind = 'post.likes' and coalesce((e.data->'counts'->>'likes')::int, 0) <= 0
  union all
  select n.user_id, n.position from batch e join posts p on p.reply_to = e.post_id
    join notifications n on n.about = p.id
  where e.kind = 'post.deleted'`;

const COLUMNS = "user_id, kind, page_id, post_id, about, who, actors, at";

const STEP = `with consumer as materialized (
  select seq from consumers where name = 'notifications' for update skip locked),
batch as materialized (
  select e.* from consumer c cross join lateral (select * from events where seq > c.seq order by seq limit $1) e),
-- Posts that were written or edited, if they still exist, with their pages.
written_posts as materialized (
  select e.kind, e.at, e.seq, p.id, p.page_id, p.reply_to, p.tagged, p.state, p.published_at, g.owner_id,
    g.follower_count, g.deleted_at
  from batch e join posts p on p.id = e.post_id join pages g on g.id = p.page_id
  where e.kind in ('post.created', 'post.updated')),
acts as materialized (
  select a.* from (${ACTS}) a
  where a.user_id is not null and a.actors is not null and a.user_id <> all (a.actors)
    and not exists (select from notification_settings s where s.user_id = a.user_id and a.kind = any (s.muted))),
-- One notification of each, with the people who did it, latest first.
candidates as materialized (
  select distinct on (user_id, kind, about, who) user_id, kind, page_id, post_id, about, who, at, (
    select array_agg(n.id order by n.seq desc, n.place) from (
      select distinct on (x.id) x.id, b.seq, x.place from acts b
        cross join lateral unnest(b.actors) with ordinality x (id, place)
      where (b.user_id, b.kind, b.about, b.who) = (a.user_id, a.kind, a.about, a.who)
      order by x.id, b.seq desc, x.place) n) as actors
  from acts a order by user_id, kind, about, who, seq desc),
-- Locked before the sequencer, as in deletions of accounts. The foreign keys would be checked after it.
recipients as materialized (
  select u.id from users u where u.id in (select user_id from candidates) order by u.id for key share),
existing_notifications as materialized (
  select n.* from notifications n
    join candidates w on (n.user_id, n.kind, n.about, n.who) = (w.user_id, w.kind, w.about, w.who)
  order by n.user_id, n.kind, n.about, n.who for update of n),
news as materialized (
  select coalesce(b.id, gen_random_uuid()) as id, w.user_id, w.kind, w.page_id, w.post_id, w.about, w.who, w.at,
    (w.actors || array(select k.id from unnest(b.actors) with ordinality k (id, place) where k.id <> all (w.actors)
      order by k.place))
      [1:${MAX_NAMED}] as actors
  from candidates w join recipients p on p.id = w.user_id
    left join existing_notifications b on (b.user_id, b.kind, b.about, b.who) = (w.user_id, w.kind, w.about, w.who)
  where b.id is null
    -- A like that was removed and given again is not notified.
    or w.kind = 'like' and not b.actors @> w.actors
    or w.kind in ('follower', 'request', 'accepted') and b.at < w.at - ${AGAIN}),
-- If something unread is affected, a frame brings the count, which is computed when the frame is made.
recounted_users as materialized (
  select t.user_id from (${TOUCHED}) t left join notification_settings s on s.user_id = t.user_id
  where t.position > coalesce(s.read_position, 0) group by t.user_id),
new_position as (
  update consumers set seq = (select max(seq) from batch) where name = 'notifications' and exists (select from batch)
    returning 1),
published_posts as materialized (
  select id, page_id, published_at, follower_count from written_posts
  where kind = 'post.created' and state = 'ready' and deleted_at is null),
step as materialized (
  select p.id as event_id, p.published_at, f.user_id, f.created_at
  from published_posts p join follows f on f.page_id = p.page_id and f.state = 'following'
    where p.follower_count between 1
    and ${FEW}),
${emailCtes("$2")},
expansion_jobs as (
  insert into jobs (id, kind, payload, run_at)
  select gen_random_uuid(), '${EXPAND_JOB}', jsonb_build_object('post_id', id, 'page_id', page_id), now()
  from published_posts where follower_count > ${FEW} returning id),
turned_pages as materialized (
  select distinct page_id from batch where kind in ('page.hidden', 'page.shown') and user_id is null),
${beginningRecounts("turned_pages")},
${
  eventCtes(
    `${
      eventRow("notification", {
        user: "user_id",
        data: "jsonb_build_object('id', id)",
        from: "news",
        rank: "row_number() over (order by at)",
      })
    } union all ${
      eventRow("notifications.read", { rank: 1_000_000, user: "user_id", at: "now()", from: "recounted_users" })
    }`,
    ["new_position", "ledger", "queued_emails", "digests", "expansion_jobs", "recount_jobs"],
  )
},
saved_notifications as (
  insert into notifications (id, ${COLUMNS}, position)
  select n.id, ${COLUMNS.split(", ").map((column) => `n.${column}`).join(", ")}, e.seq
  from news n join saved_events e on e.kind = 'notification' and (e.data->>'id')::uuid = n.id
  on conflict (user_id, kind, about, who) do update
    set actors = excluded.actors, at = excluded.at, position = excluded.position)
select (select count(*) from batch) as seen, ${EVENTS_JSON} as events,
  array(select id::text from expansion_jobs) as expanding,
  array(select id::text from recount_jobs) as recounting, array(select id::text from queued_emails) as queued`;

export interface NotificationStep {
  /** Events read. */
  seen: number;
  /** The new events about notifications. */
  events: SequencedEvent[];
  /** The jobs that create emails about new posts, and those that recount after a page was hidden. */
  jobs: JobRef[];
}

/**
 * Reads the next events, up to a maximum, and creates the notifications and emails for them. One statement moves the
 * position and writes the results, so that each event is processed once despite crashes and concurrent processes.
 * `digestAt`: the time of the next digest.
 */
export async function stepNotifications(sql: Writer, most: number, digestAt: string): Promise<NotificationStep> {
  const [row] = await sql.execute<{
    seen: number;
    events: SequencedEvent[] | null;
    expanding: string[];
    recounting: string[];
    queued: string[];
  }>(STEP, [most, digestAt], "notification.step");
  if (!row) return { seen: 0, events: [], jobs: [] };
  const refs = (kind: string, ids: readonly string[]) => ids.map((id) => ({ kind, id }));
  const jobs = [
    ...refs(RECOUNT_JOB, row.recounting),
    ...refs(EXPAND_JOB, row.expanding),
    ...refs(POST_EMAIL_JOB, row.queued),
  ];
  return { seen: row.seen, events: row.events ?? [], jobs };
}

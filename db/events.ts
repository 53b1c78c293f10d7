import type { Grant } from "./partitions.ts";
import type { SequencedEvent } from "./event.ts";
import { POST_COLUMNS, type PostRow, UNSEEN_REPLIES } from "./posts.ts";
import { LISTENED_PAGES } from "./feed.ts";
import { eventCtes, eventRow, EVENTS_JSON } from "./turn_statement.ts";
import type { Reader, Writer } from "./sql.ts";

const COLUMNS = "e.seq, e.kind, e.page_id, e.post_id, e.user_id, e.data, e.at";

export interface SequencerRow {
  epoch: string;
  seq: number;
  floor: number;
}

export async function sequencerState(sql: Reader): Promise<SequencerRow> {
  const [row] = await sql.query<SequencerRow>("select epoch, seq, floor from sequencer", [], "sequencer.state");
  if (!row) throw new Error("The row of the sequencer is missing: migrate the database");
  return row;
}

/**
 * Turns the likes since the last call into one event per post. The count is read when it is shown. Does nothing unless
 * the partition has this epoch: only its node emits.
 */
export async function emitLikeEvents(
  sql: Writer,
  { partition, epoch }: Grant,
  most: number,
): Promise<SequencedEvent[]> {
  const [row] = await sql.execute<{ events: SequencedEvent[] | null }>(
    `with fence as materialized (select from partitions where id = $2 and epoch = $3 for share),
    taken_signals as (
      delete from like_signals where exists (select from fence)
        and post_id in (select post_id from like_signals order by post_id limit $1 for update)
      returning post_id, page_id, likers, change),
    ${
      eventCtes(
        eventRow("post.likes", {
          page: "page_id",
          post: "post_id",
          data: `jsonb_build_object('counts', jsonb_build_object('likes', change))
            || case when likers <> '{}' then jsonb_build_object('likers', likers) else '{}' end`,
          at: "now()",
          from: "taken_signals",
        }),
      )
    }
    select ${EVENTS_JSON} as events`,
    [most, partition, epoch],
    "event.tell_likes",
  );
  return row?.events ?? [];
}

/** Events after a position, in order. */
export async function eventsAfter(sql: Reader, seq: number, most: number): Promise<SequencedEvent[]> {
  return await sql.query<SequencedEvent>(
    `select ${COLUMNS} from events e where e.seq > $1 order by e.seq limit $2`,
    [seq, most],
    "event.after",
  );
}

export interface ReplayFilter {
  user: string;
  after: number;
  upTo: number;
  limit: number;
}

/**
 * What a listener missed, in order: events of the pages in their feed, and events for them only. Events about posts
 * only while the listener may see them; that a page was hidden in any case. Of states, such as likes, following or
 * notifications, only the latest.
 */
export async function replay(sql: Reader, { user, after, upTo, limit }: ReplayFilter): Promise<SequencedEvent[]> {
  return await sql.query<SequencedEvent>(
    `with audience as materialized (
      select w.id, exists (select from visible_pages($1) v where v.id = w.id) as visible
      from (${LISTENED_PAGES}) w)
    , own_events as materialized (
      select e.*, row_number() over (partition by e.kind, e.page_id, e.post_id order by e.seq desc) as place
      from events e where e.user_id = $1 and e.seq > $2 and e.seq <= $3)
    select * from (
      select ${COLUMNS} from audience w cross join lateral (
        select * from events e where e.page_id = w.id and e.seq > $2 and e.seq <= $3 and e.user_id is null
          and (e.kind in ('page.hidden', 'page.shown')
            or w.visible and (e.kind like 'post.%' or e.kind in ('page.updated', 'replies.changed'))
              and (e.kind <> 'post.likes' or not exists (
                select from events l where l.kind = 'post.likes' and l.post_id = e.post_id and l.seq > e.seq
                  and l.seq <= $3))
              and (e.kind <> 'replies.changed' or not exists (
                select from events l where l.kind = 'replies.changed' and l.post_id = e.post_id and l.seq > e.seq
                  and l.seq <= $3
                  -- Events that this listener must not get.
                  and not (coalesce(l.data, '{}') ? 'withheld')))
              and (e.kind <> 'page.updated' or not exists (
                select from events l where l.kind = 'page.updated' and l.page_id = e.page_id and l.seq > e.seq
                  and l.seq <= $3)))
        order by e.seq limit $4) e
      union all
      select ${COLUMNS} from own_events e
      where e.kind in ('page.hidden', 'page.shown')
        or e.kind in ('follow.changed', 'post.liked', 'notifications.read') and e.place = 1
        -- A notification with a newer event comes with that one.
        or e.kind = 'notification' and exists (
          select from notifications n where n.id = (e.data ->> 'id')::uuid and n.position = e.seq)) e
    order by e.seq limit $4`,
    [user, after, upTo, limit],
    "event.replay",
  );
}

/** A post as every listener may see it: without what differs by viewer. */
export interface LivePostRow extends Omit<PostRow, "reply_visible" | "liked"> {
  /** Whether everybody, some, or nobody can see the original. */
  reply_audience: "everybody" | "some" | "nobody" | null;
  /** Replies that not everybody may see, by page; they are not in `reply_count`. */
  withheld_replies: readonly { page_id: string; n: number; blocked: boolean }[] | null;
}

const NOBODY = "00000000-0000-0000-0000-000000000000";

/** The current state of the posts of events; deleted ones are missing. */
export async function livePosts(sql: Reader, ids: readonly string[]): Promise<Map<string, LivePostRow>> {
  const rows = await sql.query<PostRow & Pick<LivePostRow, "withheld_replies"> & { reply_private: boolean | null }>(
    `select ${POST_COLUMNS},
      (select o.page_id is not null and g.is_private from posts o join pages g on g.id = o.page_id
        where o.id = p.reply_to and g.deleted_at is null
          and coalesce(greatest(g.blocked_until, g.owner_blocked_until), '-infinity') <= now()) as reply_private,
      case when p.reply_count > 0 then (
        select json_agg(json_build_object('page_id', h.page_id, 'n', h.n, 'blocked', coalesce(
          greatest(x.blocked_until, x.owner_blocked_until), '-infinity') > now()))
        from (select r.page_id, count(*) as n ${UNSEEN_REPLIES} group by r.page_id) h join pages x on x.id = h.page_id)
      end as withheld_replies
    from posts p join pages g on g.id = p.page_id join users u on u.id = g.owner_id
    where p.id = any($2::uuid[]) and p.state = 'ready'`,
    [NOBODY, [...ids]],
    "event.live_posts",
  );
  return new Map(rows.map(({ reply_private, reply_visible, liked: _, ...row }) => {
    const reply_audience = row.reply_to === null
      ? null
      : reply_visible
      ? "everybody"
      : reply_private
      ? "some"
      : "nobody";
    return [row.id, { ...row, reply_audience }];
  }));
}

/**
 * Deletes events past retention that all consumers have read, in limited batches. Raises the floor below which a cursor
 * is too old.
 */
export async function pruneEvents(sql: Writer, retentionMs: number, most: number): Promise<number> {
  const rows = await sql.execute<{ seq: number }>(
    `with old_events as (
      -- The oldest events, as far as they are past retention.
      delete from events where seq in (
        select seq from (select seq, at from events order by seq limit $2) e
        where e.seq <= (select coalesce(min(c.seq), e.seq) from consumers c)
          and e.at < now() - $1 * interval '1 millisecond')
      returning seq),
    new_floor as (update sequencer set floor = greatest(floor, (select max(seq) from old_events))
      where exists (select from old_events))
    select seq from old_events`,
    [retentionMs, most],
    "event.forget",
  );
  return rows.length;
}

/** Deletes tombstones past retention, and the rows written together with them. */
export async function pruneTombstones(sql: Writer, retentionMs: number): Promise<void> {
  await sql.execute(
    `with old_tombstones as (select id from pages where deleted_at < now() - $1 * interval '1 millisecond')
    delete from posts where page_id in (select id from old_tombstones)`,
    [retentionMs],
    "page.empty_tombstones",
  );
  await sql.execute(
    "delete from pages where deleted_at < now() - $1 * interval '1 millisecond'",
    [retentionMs],
    "page.remove_tombstones",
  );
}

/** Committed events that this node, at `position`, has not received yet. */
export async function eventLag(sql: Reader, position: number): Promise<number> {
  return (await sequencerState(sql)).seq - position;
}

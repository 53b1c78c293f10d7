import { BY_COLUMNS, type ByRow, record } from "./moderation_log.ts";
import { replyEvents } from "./publishing.ts";
import { defineCommit, eventRow } from "./turn_statement.ts";

/**
 * Discards a failed post without trace: only its author could see it, and no frame was sent. The receipt of its request
 * has the same id and is deleted too, so that its Idempotency-Key can be used again, as after any refusal.
 */
export const discardPost = defineCommit<{ id: string; page_id: string }, { discarded: boolean }>("post.discard", {
  columns: "id uuid, page_id uuid",
  body: `deleted_posts as (
  delete from posts p using turns t where p.id = t.id and p.page_id = t.page_id and p.state = 'failed' returning p.id),
deleted_receipts as (delete from receipts r using deleted_posts x where r.id = x.id)`,
  select:
    `select t.turn, jsonb_build_object('discarded', exists (select from deleted_posts r where r.id = t.id)) as result
  from turns t`,
});

export interface DeletePostRow extends ByRow {
  id: string;
  page_id: string;
  /** Whether it is recorded, as an act on the post of somebody else. */
  moderated: boolean;
  at: string;
}

export const deletePost = defineCommit<DeletePostRow, { found: boolean }>("post.delete", {
  columns: `id uuid, page_id uuid, moderated boolean, at timestamptz, ${BY_COLUMNS}`,
  body: `deleted_posts as (
  delete from posts p using turns t where p.id = t.id and p.page_id = t.page_id
  returning t.*, p.reply_to, p.state, p.text, p.photo_count, p.published_at, p.like_count, p.reply_count),
page_counts as (
  update pages p set post_count = p.post_count - n.posts
  from (select page_id, count(*) as posts from deleted_posts where state = 'ready' group by page_id order by page_id) n
    where p.id = n.page_id),
locked_posts as materialized (
  select p.id from posts p where p.id in (select reply_to from deleted_posts where state = 'ready')
  order by p.id for update),
answered_posts as (
  update posts p set reply_count = p.reply_count - n.replies
  from (select r.reply_to, count(*) as replies, array_agg(distinct r.page_id) as via
    from deleted_posts r join locked_posts k on k.id = r.reply_to where r.state = 'ready' group by r.reply_to) n
  where p.id = n.reply_to returning p.id, p.page_id, -n.replies as replies, n.via),
deleted_signals as (delete from like_signals s using deleted_posts r where s.post_id = r.id
  returning s.post_id, s.change)`,
  records: record("post.delete", {
    name: "g.uuid || ': ' || left(x.text, 80)",
    id: "x.id",
    before: `jsonb_build_object('page_id', x.page_id, 'owner_id', g.owner_id, 'text', x.text, 'photos', x.photo_count,
      'published_at', x.published_at)`,
    from: "deleted_posts x join pages g on g.id = x.page_id where x.moderated",
  }),
  events: `${
    eventRow("post.deleted", {
      page: "r.page_id",
      post: "r.id",
      // Likes without an event so far need no correction.
      data: `jsonb_build_object('counts', jsonb_build_object('posts', -1, 'replies', -r.reply_count,
        'likes', coalesce(s.change, 0) - r.like_count))`,
      from: "deleted_posts r left join deleted_signals s on s.post_id = r.id where r.state = 'ready'",
    })
  } union all ${replyEvents("answered_posts")}`,
  select: `select t.turn, jsonb_build_object('found', exists (
      select from deleted_posts r where r.turn = t.turn)) as result from turns t`,
});

import { defineCommit, eventRow } from "./turn_statement.ts";

export interface LikeRow {
  post_id: string;
  page_id: string;
  user_id: string;
  at: string;
}

/** Null if the post does not exist or the person may not see it. */
export type LikeResult = { like_count: number } | null;
/** The count is null if the person may not see the post, or it does not exist. */
export interface UnlikeResult {
  like_count: number | null;
}

/**
 * The maximum number of people in a signal: the author of the post, who gets no notification of their own likes, and a
 * few more.
 */
const MAX_LIKERS = 4;

const LOCKED_POSTS = `-- In one order everywhere, so that two statements never wait for each other.
locked_posts as materialized (
  select p.id, p.page_id, p.like_count from posts p where p.id in (select post_id from turns) and p.state = 'ready'
  order by p.id for update)`;
const VISIBLE_LIKES = `${LOCKED_POSTS},
visible_likes as materialized (
  select t.*, k.like_count from turns t join locked_posts k on k.id = t.post_id and k.page_id = t.page_id
  where exists (select from visible_pages(t.user_id) v where v.id = t.page_id))`;

const SAVED_SIGNALS = `saved_signals as (
  insert into like_signals (post_id, page_id, likers, change) select id, page_id, likers, change from like_counts
  on conflict (post_id) do update
    set changes = like_signals.changes + 1, change = like_signals.change + excluded.change,
    likers = (excluded.likers || like_signals.likers)[1:${MAX_LIKERS}])`;

/** For the other sockets of the person who did it; `from` has the posts and people. */
const likedEvents = (liked: boolean, from: string) =>
  eventRow("post.liked", {
    page: "k.page_id",
    post: "l.post_id",
    user: "l.user_id",
    data: `'{"liked": ${liked}}'::jsonb`,
    at: "now()",
    from: `${from} l join locked_posts k on k.id = l.post_id`,
  });

const RESULT = `select t.turn, case when s.turn is not null
    then jsonb_build_object('like_count', coalesce(c.like_count, s.like_count)) end as result
  from turns t left join visible_likes s on s.turn = t.turn left join like_counts c on c.id = s.post_id`;

/** Any number of likes, of one post or of many, in one statement. A repeated like changes nothing. */
export const like = defineCommit<LikeRow, LikeResult>("post.like", {
  columns: "post_id uuid, page_id uuid, user_id uuid, at timestamptz",
  body: `${VISIBLE_LIKES},
new_likes as (
  insert into likes (post_id, user_id, created_at) select post_id, user_id, at from visible_likes
  on conflict do nothing returning post_id, user_id),
like_counts as (
  update posts p set like_count = p.like_count + n.likes
  from (select post_id, count(*) as likes, (array_agg(user_id))[1:${MAX_LIKERS}] as likers from new_likes
    group by post_id) n
  where p.id = n.post_id returning p.id, p.page_id, p.like_count, n.likers, n.likes as change),
${SAVED_SIGNALS}`,
  events: likedEvents(true, "new_likes"),
  select: RESULT,
  violations: { likes_user_id_fkey: "token-invalid", likes_post_id_fkey: "not-found" },
});

/** A like can be removed even if the post is no longer visible. Only those who see the post get its count. */
export const unlike = defineCommit<LikeRow, UnlikeResult>("post.unlike", {
  columns: "post_id uuid, page_id uuid, user_id uuid, at timestamptz",
  body: `${LOCKED_POSTS},
deleted_likes as (
  delete from likes l using turns t join locked_posts k on k.id = t.post_id and k.page_id = t.page_id
  where l.post_id = t.post_id and l.user_id = t.user_id returning l.post_id, l.user_id),
like_counts as (
  update posts p set like_count = p.like_count - n.likes
  from (select post_id, count(*) as likes from deleted_likes group by post_id) n where p.id = n.post_id
  returning p.id, p.page_id, p.like_count, '{}'::uuid[] as likers, -n.likes as change),
${SAVED_SIGNALS}`,
  events: likedEvents(false, "deleted_likes"),
  select: `select t.turn, jsonb_build_object('like_count', case
      when exists (select from visible_pages(t.user_id) v where v.id = k.page_id)
        then coalesce(c.like_count, k.like_count) end) as result
  from turns t left join locked_posts k on k.id = t.post_id and k.page_id = t.page_id
    left join like_counts c on c.id = k.id`,
});

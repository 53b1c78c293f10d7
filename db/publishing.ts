import { eventRow, publishing } from "./turn_statement.ts";

/** The pages `via` that replied, if none is visible to everybody; else null. */
const WITHHELD = (via: string) =>
  `case when not exists (select from pages g where g.id = any(${via}) and not g.is_private
    and coalesce(greatest(g.blocked_until, g.owner_blocked_until), '-infinity') <= now()) then to_jsonb(${via}) end`;

/**
 * Events that a post has another number of replies, by `replies` of the pages `via`, for feeds that show it. After all
 * other writes of the statement. If only pages replied that not everybody sees, the event names them, so that others
 * get no frame.
 */
export function replyEvents(from: string, via = "via"): string {
  return eventRow("replies.changed", {
    rank: 1_000_000,
    page: "page_id",
    post: "id",
    data: `jsonb_strip_nulls(jsonb_build_object('counts', jsonb_build_object('replies', replies), 'withheld', ${
      WITHHELD(via)
    }))`,
    at: "now()",
    from,
  });
}

/**
 * Events that viewers of a post may see another number of replies, as a page that replied was closed or opened; `pages`
 * has its `id`.
 */
export function replyAudienceEvents(pages: string): string {
  return eventRow("replies.changed", {
    rank: 1_000_000,
    page: "o.page_id",
    post: "o.id",
    at: "now()",
    from: `(select distinct r.reply_to as id from posts r where r.reply_to is not null and r.state = 'ready'
      and r.page_id in (select id from ${pages})) d join posts o on o.id = d.id`,
  });
}

/** The counts in `post.created`. */
export const ONE_POST = `'{"counts": {"posts": 1}}'::jsonb`;

/**
 * The publication times of the posts of the CTE `post_states` that are ready now. Other rows to change are locked
 * before, as the row of the sequencer comes last: first the pages, then the originals of replies.
 */
export const PUBLISHED =
  `ready_posts as materialized (select * from post_states where state <> 'ready' and next = 'ready'),
locked_pages as materialized (
  select p.id from pages p where p.id in (select page_id from ready_posts) order by p.id for no key update),
locked_originals as materialized (
  select p.id from posts p where p.id in (select reply_to from ready_posts) and (select count(*) from locked_pages) >= 0
  order by p.id for update),
${publishing("publications", { from: "ready_posts", rank: "id", after: ["locked_originals"] })}`;

/**
 * The other effects of a post becoming ready: it counts from then on. `updated_posts` has the posts whose state was
 * computed again: (id, page_id, reply_to, state, old_state, at).
 */
export const PUBLISHING = `published_posts as materialized (select r.*, (
    select count(*) from publications o
      where o.published_at <= (select d.published_at from publications d where d.id = r.id)) as place
  from updated_posts r where r.state = 'ready' and r.old_state <> 'ready'),
page_counts as (
  update pages p set post_count = p.post_count + n.posts
  from (select page_id, count(*) as posts from published_posts group by page_id order by page_id) n
    where p.id = n.page_id),
counted_originals as materialized (
  select p.id from posts p where p.id in (select reply_to from published_posts) and p.id not in (select id
    from updated_posts)
  order by p.id for update),
answered_posts as (
  update posts p set reply_count = p.reply_count + n.replies
  from (select v.reply_to, count(*) as replies, array_agg(distinct v.page_id) as via
    from published_posts v join counted_originals o on o.id = v.reply_to group by v.reply_to) n
  where p.id = n.reply_to returning p.id, p.page_id, n.replies, n.via)`;

export const PUBLISHED_EVENTS = `${
  eventRow("post.created", { rank: "1 + place", page: "page_id", post: "id", data: ONE_POST, from: "published_posts" })
} union all ${replyEvents("answered_posts")}`;

/** The state of a post by its photos: one failed makes it failed, one in progress processing. */
export function stateOf(photos: string): string {
  return `coalesce((select case when bool_or(s.state = 'failed') then 'failed' when bool_or(s.state = 'processing')
    then 'processing' end
    from (${photos}) s), 'ready')`;
}

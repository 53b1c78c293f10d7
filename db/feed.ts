import { POST_COLUMNS, type PostAfter, type PostRow } from "./posts.ts";
import type { Reader } from "./sql.ts";

/** The pages of a person's feed: the followed ones and their own. */
export const FEED_PAGES = `select f.page_id as id from follows f where f.user_id = $1 and f.state = 'following'
  union all select p.id from pages p where p.owner_id = $1 and p.deleted_at is null`;

/**
 * The same with their own deleted pages; followed pages stay followed. Listeners still have to get that these were
 * deleted.
 */
export const LISTENED_PAGES = `select f.page_id as id from follows f where f.user_id = $1 and f.state = 'following'
  union all select p.id from pages p where p.owner_id = $1`;

export interface FeedHead {
  /** A position of the sequencer that the result is not older than. */
  seq: number;
  pages: string[];
}

/** Position and pages in one snapshot, so that the events after the position contain every later change. */
export async function feedHead(sql: Reader, user: string): Promise<FeedHead> {
  const [row] = await sql.query<FeedHead>(
    `select (select seq from sequencer) as seq, array(select id::text from (${FEED_PAGES}) w) as pages`,
    [user],
    "feed.head",
  );
  return row ?? { seq: 0, pages: [] };
}

/**
 * A page of the feed, newest first by (published_at, id). Of each followed page at most `limit` posts are read, by
 * index, whatever the size of the page.
 */
export async function feedPosts(
  sql: Reader,
  user: string,
  { limit, after }: { limit: number; after?: PostAfter | undefined },
): Promise<PostRow[]> {
  return await sql.query<PostRow>(
    `with newest as materialized (
      select n.id, n.published_at from (
        select g.id from visible_pages($1) g where g.id in (${FEED_PAGES})) g
      cross join lateral (
        select p.id, p.published_at from posts p
        where p.page_id = g.id and p.state = 'ready'
          and (p.published_at, p.id) < (coalesce($2::timestamptz, 'infinity'),
            coalesce($3::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
        order by p.published_at desc, p.id desc limit $4) n
      order by n.published_at desc, n.id desc limit $4)
    select ${POST_COLUMNS} from newest n join posts p on p.id = n.id join pages g on g.id = p.page_id
      join users u on u.id = g.owner_id
    order by p.published_at desc, p.id desc`,
    [user, after?.published_at ?? null, after?.id ?? null, limit],
    "feed.posts",
  );
}

/** Those of the posts that the feed would show, in their current state. */
export async function feedPostsById(sql: Reader, user: string, ids: readonly string[]): Promise<PostRow[]> {
  return await sql.query<PostRow>(
    `select ${POST_COLUMNS} from posts p join visible_pages($1) g on g.id = p.page_id join users u on u.id = g.owner_id
    where p.id = any($2::uuid[]) and p.state = 'ready' and p.page_id in (${FEED_PAGES})`,
    [user, [...ids]],
    "feed.posts_by_id",
  );
}

/** The subscriptions of a listener at a position: the pages in their feed, and whether they may see the posts. */
export async function listenerSnapshot(
  sql: Reader,
  user: string,
): Promise<{ seq: number; pages: { id: string; visible: boolean }[] }> {
  const [row] = await sql.query<{ seq: number; pages: { id: string; visible: boolean }[] }>(
    `select (select seq from sequencer) as seq, coalesce((
      select json_agg(json_build_object('id', w.id, 'visible', exists (
        select from visible_pages($1) v where v.id = w.id)))
      from (${LISTENED_PAGES}) w), '[]') as pages`,
    [user],
    "feed.listener_snapshot",
  );
  return row ?? { seq: 0, pages: [] };
}

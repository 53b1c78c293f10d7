import { defineCommit, eventRow, publishing } from "./turn_statement.ts";
import { HELD, type NewPhoto, type PhotoRow, PHOTOS, picturing, STAGED } from "./photos.ts";
import { ONE_POST, PUBLISHED, PUBLISHED_EVENTS, PUBLISHING, replyEvents, stateOf } from "./publishing.ts";
import type { Reader } from "./sql.ts";
import { CARD, type CardRow } from "./users.ts";
import { exactTime } from "./keyset.ts";

export interface PostRow {
  id: string;
  page_id: string;
  page_uuid: string;
  page_name: string;
  page_avatar_key: string | null;
  author: CardRow;
  text: string;
  photos: PhotoRow[];
  tagged_users: string[];
  place: string | null;
  reply_to: string | null;
  /** The page of the original, if it still exists. */
  reply_page_id: string | null;
  /** Whether the viewer may see the original. */
  reply_visible: boolean;
  like_count: number;
  /** The number of replies that the viewer may see. */
  reply_count: number;
  liked: boolean;
  state: "ready" | "processing" | "failed";
  published_at: string | null;
  created_at: string;
  updated_at: string;
}

/** The replies to a post `p` that the viewer `$1` may not see. */
export const UNSEEN_REPLIES = `from posts r where r.reply_to = p.id and r.withheld and r.state = 'ready'
  and not exists (select from visible_pages($1) v where v.id = r.page_id)`;

/**
 * The columns of a `PostRow`, of `posts p` on a page `g` by its owner `u`, for the viewer `$1`. Whether the viewer may
 * see it at all is decided by `visible_pages` in the query.
 */
export const POST_COLUMNS = `p.id, p.page_id, g.uuid as page_uuid, g.name as page_name, g.avatar_key as page_avatar_key,
  ${CARD} as author, p.text, ${PHOTOS}, case when p.tagged = '{}' then '{}'::text[] else array(
    select t.login from unnest(p.tagged) with ordinality w (id, place) join users t on t.id = w.id
      order by w.place) end as tagged_users,
  p.place, p.reply_to,
  case when p.reply_to is not null then (select o.page_id from posts o where o.id = p.reply_to) end as reply_page_id,
  p.reply_to is not null and exists (
    select from posts o join visible_pages($1) v on v.id = o.page_id where o.id = p.reply_to
      and o.state = 'ready') as reply_visible,
  p.like_count, case when p.reply_count = 0 then 0
    else p.reply_count - (select count(*) ${UNSEEN_REPLIES}) end as reply_count,
  exists (select from likes l where l.post_id = p.id and l.user_id = $1) as liked,
  p.state, ${exactTime("p.published_at")} as published_at, p.created_at, p.updated_at`;

/** Posts of a page that are not ready, latest first; for its owner. */
export async function unreadyPosts(
  sql: Reader,
  owner: string,
  { page, state, limit, after }: {
    page: string;
    state: "processing" | "failed";
    limit: number;
    after?: { at: string; id: string } | undefined;
  },
): Promise<PostRow[]> {
  return await sql.query<PostRow>(
    `select ${POST_COLUMNS} from posts p join pages g on g.id = p.page_id join users u on u.id = g.owner_id
    where p.page_id = $2 and g.owner_id = $1 and p.state <> 'ready' and p.state = $3
      and ($4::timestamptz is null or (p.created_at, p.id) < ($4::timestamptz, $5::uuid))
    order by p.created_at desc, p.id desc limit $6`,
    [owner, page, state, after?.at ?? null, after?.id ?? null, limit],
    "post.unready",
  );
}

/** A post that the viewer may see; its author also sees it before it is ready. */
export async function postById(sql: Reader, viewer: string, id: string): Promise<PostRow | undefined> {
  const [row] = await sql.query<PostRow>(
    `select ${POST_COLUMNS} from posts p join visible_pages($1) g on g.id = p.page_id join users u on u.id = g.owner_id
    where p.id = $2 and (p.state = 'ready' or g.owner_id = $1)`,
    [viewer, id],
    "post.by_id",
  );
  return row;
}

/** The page of a post, regardless of the viewer: to find its actor and to explain a refusal. */
export async function pageOfPost(sql: Reader, id: string): Promise<string | undefined> {
  const [row] = await sql.query<{ page_id: string }>("select page_id from posts where id = $1", [id], "post.page_of");
  return row?.page_id;
}

export interface PostAfter {
  published_at: string;
  id: string;
}

export async function postsOfPage(
  sql: Reader,
  viewer: string,
  { page, limit, after }: { page: string; limit: number; after?: PostAfter | undefined },
): Promise<PostRow[]> {
  return await sql.query<PostRow>(
    `select ${POST_COLUMNS} from posts p join visible_pages($1) g on g.id = p.page_id join users u on u.id = g.owner_id
    where p.page_id = $2 and p.state = 'ready'
      and ($3::timestamptz is null or (p.published_at, p.id) < ($3::timestamptz, $4::uuid))
    order by p.published_at desc, p.id desc limit $5`,
    [viewer, page, after?.published_at ?? null, after?.id ?? null, limit],
    "post.of_page",
  );
}

export async function repliesTo(
  sql: Reader,
  viewer: string,
  { post, limit, after }: { post: string; limit: number; after?: PostAfter | undefined },
): Promise<PostRow[]> {
  return await sql.query<PostRow>(
    `select ${POST_COLUMNS} from posts p join visible_pages($1) g on g.id = p.page_id join users u on u.id = g.owner_id
    where p.reply_to = $2 and p.state = 'ready'
      and ($3::timestamptz is null or (p.published_at, p.id) < ($3::timestamptz, $4::uuid))
    order by p.published_at desc, p.id desc limit $5`,
    [viewer, post, after?.published_at ?? null, after?.id ?? null, limit],
    "post.replies",
  );
}

/** Posts that the viewer liked and may still see, latest like first. */
export async function likedPosts(
  sql: Reader,
  viewer: string,
  { limit, after }: { limit: number; after?: { at: string; id: string } | undefined },
): Promise<(PostRow & { liked_at: string })[]> {
  return await sql.query(
    `select ${POST_COLUMNS}, k.created_at as liked_at
    from likes k join posts p on p.id = k.post_id join visible_pages($1) g on g.id = p.page_id
      join users u on u.id = g.owner_id
    where k.user_id = $1 and p.state = 'ready'
      and ($2::timestamptz is null or (k.created_at, k.post_id) < ($2::timestamptz, $3::uuid))
    order by k.created_at desc, k.post_id desc limit $4`,
    [viewer, after?.at ?? null, after?.id ?? null, limit],
    "post.liked",
  );
}

export interface CreatePostRow {
  id: string;
  page_id: string;
  author_id: string;
  text: string;
  tagged: string[];
  place: string | null;
  reply_to: string | null;
  at: string;
}

export interface CreatePostResult {
  /** False if the page was deleted or is blocked. */
  open: boolean;
  /** False if the author may not see the original of the reply. */
  original: boolean;
  reply_page_id: string | null;
  /** Null if it is not published yet. */
  published_at: string | null;
}

/** A page `p` on which its owner may post now. */
const IS_OPEN =
  "p.deleted_at is null and coalesce(greatest(p.blocked_until, p.owner_blocked_until), '-infinity') <= now()";
/** Whether the page of a new post `t` is open to its author. */
const OPEN = `exists (select from pages p where p.id = t.page_id and p.owner_id = t.author_id and ${IS_OPEN}) as open`;
/** The page of the original of a new post `t`, if its author can see it. */
const ORIGINAL = `left join lateral (
    select q.page_id from posts q join visible_pages(t.author_id) v on v.id = q.page_id
    where q.id = t.reply_to and q.state = 'ready') o on t.reply_to is not null`;
const NEW_POST_COLUMNS =
  "id uuid, page_id uuid, author_id uuid, text text, tagged uuid[], place text, reply_to uuid, at timestamptz";
/** The events of new posts, for those in `valid_posts`. */
const CREATED = `new_posts as (
  insert into posts (id, page_id, text, tagged, place, reply_to, published_at, created_at, updated_at)
  select id, page_id, text, tagged, place, reply_to, published_at, at, at from publications)`;
/** Increments the counts of the pages. */
const COUNTED = `page_counts as (
  update pages p set post_count = p.post_count + n.posts
  from (select page_id, count(*) as posts from valid_posts group by page_id order by page_id) n
    where p.id = n.page_id)`;
const CREATED_EVENTS = eventRow("post.created", {
  rank: "turn",
  page: "page_id",
  post: "id",
  data: ONE_POST,
  from: "valid_posts",
});

/** A repeated request runs under the same id. Its first try was written after all; its receipt has the result. */
const REPEATED = { posts_pkey: "idempotency-key-running" } as const;

/**
 * A post that is no reply. Separate, since what a reply needs would cost every statement a fifth of its time. The
 * update of the count also checks whether the page is open.
 */
export const createPost = defineCommit<CreatePostRow, CreatePostResult>("post.create", {
  columns: NEW_POST_COLUMNS,
  body: `page_counts as (
  update pages p set post_count = p.post_count + n.posts
  from (select page_id, author_id, count(*) as posts from turns group by page_id, author_id order by page_id) n
  where p.id = n.page_id and p.owner_id = n.author_id and ${IS_OPEN} returning p.id, p.owner_id),
candidates as materialized (
  select t.*, c.id is not null as open from turns t left join page_counts c on c.id = t.page_id
    and c.owner_id = t.author_id),
valid_posts as materialized (select * from candidates where open),
${publishing("publications", { from: "valid_posts", rank: "turn", after: ["page_counts"] })},
${CREATED}`,
  events: CREATED_EVENTS,
  publishes: "publications",
  select: `select j.turn, jsonb_build_object('open', j.open, 'original', true, 'reply_page_id', null,
    'published_at', ${
    exactTime("t.published_at")
  }) as result from candidates j left join publications t on t.turn = j.turn`,
  refused: "not (a.result->>'open')::boolean",
  violations: REPEATED,
});

export const createReply = defineCommit<CreatePostRow, CreatePostResult>("post.reply", {
  columns: NEW_POST_COLUMNS,
  // A reply's insert locks its page: in the order of pages, as everywhere.
  body: `candidates as materialized (select t.*, ${OPEN}, o.page_id as reply_page_id from turns t ${ORIGINAL}),
valid_posts as materialized (select * from candidates where open and reply_page_id is not null order by page_id, turn),
${COUNTED},
locked_posts as materialized (
  select p.id from posts p where p.id in (select reply_to from valid_posts) order by p.id for update),
${publishing("publications", { from: "valid_posts", rank: "turn", after: ["page_counts", "locked_posts"] })},
${CREATED},
answered_posts as (
  update posts p set reply_count = p.reply_count + n.replies
  from (select v.reply_to, count(*) as replies, array_agg(distinct v.page_id) as via
    from valid_posts v join locked_posts k on k.id = v.reply_to group by v.reply_to) n
  where p.id = n.reply_to returning p.id, p.page_id, n.replies, n.via)`,
  events: `${CREATED_EVENTS} union all ${replyEvents("answered_posts")}`,
  publishes: "publications",
  select: `select j.turn, jsonb_build_object('open', j.open, 'original', j.reply_page_id is not null,
    'reply_page_id', j.reply_page_id, 'published_at', ${
    exactTime("t.published_at")
  }) as result from candidates j left join publications t on t.turn = j.turn`,
  refused: "not (a.result->>'open')::boolean or not (a.result->>'original')::boolean",
  violations: REPEATED,
});

/** A post whose photos are not ready: only its author sees it, and it does not count, until they are. */
export const createPhotoPost = defineCommit<
  CreatePostRow & { photos: readonly NewPhoto[] },
  CreatePostResult & { staged: boolean }
>(
  "post.create_with_photos",
  {
    columns: `${NEW_POST_COLUMNS}, photos jsonb`,
    body: `${HELD},
candidates as materialized (
  select t.*, ${OPEN}, o.page_id as reply_page_id, ${STAGED} as staged from turns t ${ORIGINAL}),
valid_posts as materialized (select * from candidates where open and staged
  and (reply_to is null or reply_page_id is not null)),
new_posts as (
  insert into posts (id, page_id, text, tagged, place, reply_to, state, photo_count, created_at, updated_at)
  select id, page_id, text, tagged, place, reply_to, 'processing', jsonb_array_length(photos), at, at from valid_posts),
${picturing("valid_posts", "post_id")}`,
    select: `select turn, jsonb_build_object('open', open, 'original', reply_to is null or reply_page_id is not null,
    'reply_page_id', reply_page_id, 'published_at', null, 'staged', staged) as result from candidates`,
    refused:
      "not (a.result->>'open')::boolean or not (a.result->>'original')::boolean or not (a.result->>'staged')::boolean",
    violations: REPEATED,
  },
);

export interface UpdatePostRow {
  id: string;
  page_id: string;
  /** The photos to keep, in their order; null leaves them unchanged. */
  photos: string[] | null;
  text: string | null;
  tagged: string[] | null;
  place: string | null;
  clear_place: boolean;
  at: string;
}

export interface UpdatePostResult {
  found: boolean;
  /** Photos that do not belong to the post. */
  unknown: string[];
  /** Neither text nor a photo would be left. */
  empty: boolean;
}

/** The pages of the replies that are published by the same statement as their original. */
const VIA_UPDATED = `array(select distinct r.page_id from post_states r
    where r.reply_to = updated_posts.id and r.state <> 'ready' and r.next = 'ready')`;

/** Removing failed photos may make the post ready; then it is published. */
export const updatePost = defineCommit<UpdatePostRow, UpdatePostResult>("post.update", {
  columns:
    "id uuid, page_id uuid, photos uuid[], text text, tagged uuid[], place text, clear_place boolean, at timestamptz",
  body: `targets as materialized (
  select p.id, p.page_id, p.reply_to, p.state, coalesce(t.text, p.text) as text, coalesce(t.tagged, p.tagged) as tagged,
    case when t.clear_place then null else coalesce(t.place, p.place) end as place, t.turn, t.photos, t.at,
    coalesce(cardinality(t.photos), p.photo_count) as photo_count
  from posts p join turns t on p.id = t.id and p.page_id = t.page_id order by p.id for update of p),
candidates as materialized (
  select x.*, array(select k from unnest(x.photos) k where not exists (
      select from photos f where f.id = k and f.post_id = x.id)) as unknown,
    x.photo_count = 0 and x.text = '' as empty
  from targets x),
valid_posts as materialized (select * from candidates where unknown = '{}' and not empty),
deleted_photos as (delete from photos f using valid_posts v
  where f.post_id = v.id and v.photos is not null and f.id <> all (v.photos)),
moved_photos as (
  update photos f set position = k.place - 1 from valid_posts v
    cross join lateral unnest(v.photos) with ordinality k (id, place)
  where f.id = k.id and f.post_id = v.id),
post_states as materialized (
  select v.*, ${
    stateOf("select f.state from photos f where f.post_id = v.id and (v.photos is null or f.id = any (v.photos))")
  } as next from valid_posts v),
-- A row changes once in a statement, so a reply published by the same statement is counted with its original.
${PUBLISHED},
reply_gains as materialized (
  select c.*, (select count(*) from post_states r
    where r.reply_to = c.id and r.state <> 'ready' and r.next = 'ready') as replies
  from post_states c),
updated_posts as (
  update posts p set text = c.text, tagged = c.tagged, place = c.place, photo_count = c.photo_count, updated_at = c.at,
    published_at = coalesce((select d.published_at from publications d where d.id = c.id), p.published_at),
    state = c.next, reply_count = p.reply_count + c.replies
  from reply_gains c where p.id = c.id and (select count(*) from publications) >= 0
  returning p.id, p.page_id, p.reply_to, p.state, c.state as old_state, c.at, c.replies),
${PUBLISHING}`,
  events: `${
    eventRow("post.updated", { page: "page_id", post: "id", from: "updated_posts where old_state = 'ready'" })
  } union all ${PUBLISHED_EVENTS} union all ${replyEvents("updated_posts where replies > 0", VIA_UPDATED)}`,
  publishes: "publications",
  select: `select t.turn, jsonb_build_object('found', j.turn is not null, 'unknown', coalesce(j.unknown, '{}'),
    'empty', coalesce(j.empty, false)) as result from turns t left join candidates j on j.turn = t.turn`,
});

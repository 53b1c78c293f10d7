import { defineCommit, eventRow } from "./turn_statement.ts";
import { PUBLISHED, PUBLISHED_EVENTS, PUBLISHING, stateOf } from "./publishing.ts";
import type { JobRef } from "./jobs.ts";
import { ACT_COLUMNS, actOn, type ActRow } from "./moderation_log.ts";
import type { Reader } from "./sql.ts";

/** A photo in a post. */
export interface PhotoRow {
  id: string;
  key: string;
  alt: string | null;
  state: "processing" | "ready" | "failed";
  problem: string | null;
  /** Pixels of the square; null until the photo is ready. */
  side: number | null;
  variants: number[];
  placeholder: string | null;
}

/** An upload in storage that waits for its commit. */
export interface NewPhoto {
  id: string;
  key: string;
  staged_key: string;
  name: string;
  alt: string | null;
}

/** The result of a crop. */
export type PhotoResult =
  | { id: string; ok: true; format: string; side: number; variants: readonly number[]; placeholder: string }
  | { id: string; ok: false; problem: string };

/** The kinds of jobs that crop a photo and report the result to its actor; both have the id of the photo. */
export const CROP_JOB = "photo.crop";
export const PHOTO_RESULT_JOB = "photo.settle";

export function cropJobs(photos: readonly string[]): JobRef[] {
  return photos.map((id) => ({ kind: CROP_JOB, id }));
}

/** The photos of `posts p`, as JSON. Most posts have none and need no look-up. */
export const PHOTOS = `case when p.photo_count = 0 then '[]'::json else coalesce((
    select json_agg(json_build_object('id', f.id, 'key', f.key, 'alt', f.alt, 'state', f.state, 'problem', f.problem,
      'side', f.side, 'variants', f.variants, 'placeholder', f.placeholder) order by f.position, f.id)
    from photos f where f.post_id = p.id), '[]') end as photos`;

const NEW_PHOTO = "id uuid, key text, staged_key text, name text, alt text";

/**
 * The uploads of all turns, locked against the sweeper until they have an owner. If the sweeper has taken one, it is
 * missing, and its turn must be refused (`STAGED`).
 */
export const HELD = `held_files as materialized (
  select u.key from unowned_files u where not u.taken and u.key in (
    select f.staged_key from turns t cross join lateral jsonb_to_recordset(t.photos) as f(staged_key text))
  order by u.key for update)`;
/** The condition for a row `t` with photos. */
export const STAGED = `not exists (select from jsonb_to_recordset(t.photos) as f(staged_key text)
    where f.staged_key not in (select key from held_files))`;

/** Stores the photos of `from` and their jobs. `owner` is the column of `photos` for the row's `id`. */
export function picturing(from: string, owner: "post_id" | "user_id" | "page_id"): string {
  return `new_photos as materialized (
  select v.id as owner, f.*, f.place - 1 as position, v.at from ${from} v
  cross join lateral rows from (jsonb_to_recordset(v.photos) as (${NEW_PHOTO})) with ordinality
    as f(id, key, staged_key, name, alt, place)),
saved_photos as (
  insert into photos (id, key, ${owner}, position, name, alt, staged_key, created_at)
  select id, key, owner, position, name, alt, staged_key, at from new_photos),
crop_jobs as (
  insert into jobs (id, kind, payload, run_at)
  select id, '${CROP_JOB}', jsonb_build_object('staged', staged_key, 'key', key), at from new_photos),
owned_files as (delete from unowned_files u using new_photos f where u.key = f.staged_key)`;
}

export interface PhotoResultRow {
  id: string;
  ok: boolean;
  problem: string | null;
  format: string | null;
  side: number | null;
  variants: readonly number[];
  placeholder: string | null;
  at: string;
}

export function photoResultRow(result: PhotoResult, at: string): PhotoResultRow {
  const { id, ok } = result;
  if (!ok) return { id, ok, problem: result.problem, format: null, side: null, variants: [], placeholder: null, at };
  const { format, side, variants, placeholder } = result;
  return { id, ok, problem: null, format, side, variants, placeholder, at };
}

const SETTLE_COLUMNS =
  "id uuid, ok boolean, problem text, format text, side int, variants int[], placeholder text, at timestamptz";

/** The upload of a ready photo is no longer needed. Uploads of failed photos of posts are kept for a retry. */
const CROP_RESULTS = `crop_results as materialized (
  select t.*, f.post_id, f.staged_key from photos f join turns t on t.id = f.id
  -- After their owners, in the lock order of deletions.
  where f.state = 'processing' and coalesce(f.post_id, f.user_id, f.page_id) in (select id from owners) order by f.id
    for update of f),
released_files as (
  insert into unowned_files (key, due_at) select staged_key, at from crop_results where (ok or post_id is null)
    and staged_key is not null
  on conflict (key) do update set due_at = excluded.due_at, taken = false)`;

/** A post's photo is ready or has failed. When the last one is ready, the post is published. */
export const storePhotoResult = defineCommit<PhotoResultRow, { found: boolean }>("photo.settle", {
  columns: SETTLE_COLUMNS,
  body: `owners as materialized (
  select p.id, p.page_id, p.reply_to, p.state from posts p
  where p.id in (select f.post_id from photos f join turns t on t.id = f.id) order by p.id for update),
${CROP_RESULTS},
finished_photos as (
  update photos f set state = case when s.ok then 'ready' else 'failed' end,
    problem = s.problem, format = s.format, side = s.side,
    variants = s.variants, placeholder = s.placeholder, staged_key = case when s.ok then null else f.staged_key end
  from crop_results s where f.id = s.id),
post_states as materialized (
  select o.*, (select max(s.at) from crop_results s where s.post_id = o.id) as at, ${
    stateOf(
      `select coalesce((select case when s.ok then 'ready' else 'failed' end from crop_results s where s.id = f.id),
        f.state) as state
      from photos f where f.post_id = o.id`,
    )
  } as next
  from owners o where o.id in (select post_id from crop_results)),
${PUBLISHED},
updated_posts as (
  update posts p set state = c.next,
    published_at = coalesce((select d.published_at from publications d where d.id = c.id), p.published_at)
  from post_states c where p.id = c.id and (select count(*) from publications) >= 0
    returning p.id, p.page_id, p.reply_to, p.state, c.state as old_state, c.at),
${PUBLISHING}`,
  events: PUBLISHED_EVENTS,
  publishes: "publications",
  select:
    `select t.turn, jsonb_build_object('found', exists (select from crop_results s where s.turn = t.turn)) as result
      from turns t`,
});

/** Retries failed photos, as long as their uploads are kept. */
export const retryPhotos = defineCommit<{ id: string; page_id: string; at: string }, { retried: string[] }>(
  "photo.retry",
  {
    columns: "id uuid, page_id uuid, at timestamptz",
    body: `owners as materialized (
  select p.id, t.turn, t.at from posts p join turns t on p.id = t.id and p.page_id = t.page_id where p.state = 'failed'
  order by p.id for update of p),
retried_photos as materialized (
  select f.id, f.key, f.staged_key, o.turn, o.at from photos f join owners o on o.id = f.post_id
  where f.state = 'failed' and f.staged_key is not null
    -- All or none: if one cannot be retried, the post stays unchanged.
    and not exists (select from photos g where g.post_id = f.post_id and g.state = 'failed' and g.staged_key is null)
  order by f.id for update of f),
restarted_photos as (update photos f set state = 'processing', problem = null from retried_photos a where f.id = a.id),
reopened_posts as (
  update posts p set state = 'processing' from owners o where p.id = o.id
    and exists (select from retried_photos a where a.turn = o.turn)),
crop_jobs as (
  insert into jobs (id, kind, payload, run_at)
  select id, '${CROP_JOB}', jsonb_build_object('staged', staged_key, 'key', key), at from retried_photos
  on conflict (id) do update
    set kind = excluded.kind, payload = excluded.payload, run_at = excluded.run_at, state = 'waiting',
    attempts = 0, lease_until = null)`,
    select: `select t.turn, jsonb_build_object('retried', array(select a.id from retried_photos a
        where a.turn = t.turn)) as result
        from turns t`,
  },
);

/** An upload as the picture of a person (`user`) or a page. The old picture stays until it is ready. */
function avatarCommits<Owner extends "user" | "page">(owner: Owner) {
  const table = `${owner}s`;
  const column = `${owner}_id` as const;
  // Only owners change the pictures of pages. An administrator may change that of a person, which is an act of
  // moderation.
  type Acted<Row> = Owner extends "user" ? Row & ActRow : Row;
  const acted = owner === "user" ? `, ${ACT_COLUMNS}` : "";
  const recorded = (from: string) => owner === "user" ? { records: actOn("account.profile", from) } : {};
  const avatarEvents = (from: string) =>
    owner === "page"
      ? eventRow("page.updated", { page: "id", from })
      : eventRow("page.updated", { page: "p.id", at: "t.at", from: `${from} t join pages p on p.owner_id = t.id` });
  return {
    stage: defineCommit<Acted<{ id: string; photos: NewPhoto[]; at: string }>, { staged: boolean }>(
      `${owner}.stage_avatar`,
      {
        columns: `id uuid, photos jsonb, at timestamptz${acted}`,
        body: `${HELD},
valid_uploads as materialized (select t.* from turns t where ${STAGED}),
${picturing("valid_uploads", column)}`,
        ...recorded("valid_uploads"),
        select: `select t.turn, jsonb_build_object('staged', exists (select from valid_uploads v
            where v.turn = t.turn)) as result
            from turns t`,
      },
    ),
    /**
     * A picture overtaken by a later upload is deleted; otherwise the previous one is. A failed one stays, to show the
     * failure.
     */
    storeResult: defineCommit<PhotoResultRow & { owner: string }, { key: string | null }>(`${owner}.settle_avatar`, {
      columns: `owner uuid, ${SETTLE_COLUMNS}`,
      body: `owners as materialized (
  select o.id from ${table} o where o.id in (select owner from turns) order by o.id for update),
${CROP_RESULTS},
latest_results as materialized (
  select s.* from crop_results s where s.ok and not exists (
    select from photos g where g.${column} = s.owner and g.id > s.id and g.state = 'ready')),
deleted_photos as (
  delete from photos f using crop_results s where s.ok and f.${column} = s.owner
    and case when s.id in (select id from latest_results)
      then f.id < s.id and f.state <> 'processing' else f.id = s.id end),
failed_photos as (update photos f set state = 'failed', problem = s.problem, staged_key = null from crop_results s
  where f.id = s.id and not s.ok),
finished_photos as (
  update photos f set state = 'ready', format = s.format, side = s.side, variants = s.variants,
    placeholder = s.placeholder,
    staged_key = null
  from latest_results s where f.id = s.id returning f.${column} as id, f.key, s.at),
shown_avatars as (update ${table} o set avatar_key = s.key from finished_photos s where o.id = s.id)`,
      events: avatarEvents("finished_photos"),
      select:
        `select t.turn, jsonb_build_object('key', (select s.key from finished_photos s where s.id = t.owner)) as result
          from turns t`,
    }),
    remove: defineCommit<Acted<{ id: string; at: string }>, Record<string, never>>(`${owner}.remove_avatar`, {
      columns: `id uuid, at timestamptz${acted}`,
      body: `removed_avatars as (
  update ${table} o set avatar_key = null from turns t where o.id = t.id and o.avatar_key is not null
    returning o.id, t.at),
deleted_photos as (delete from photos f using turns t where f.${column} = t.id)`,
      ...recorded("turns"),
      events: avatarEvents("removed_avatars"),
      select: "select turn, '{}'::jsonb as result from turns",
    }),
  };
}

export const userAvatar = avatarCommits("user");
export const pageAvatar = avatarCommits("page");

export interface ShownPhoto {
  id: string;
  format: string;
  side: number;
  variants: number[];
  /** Whether everybody may see it, signed in or not. */
  open: boolean;
}

/** An id without account: what it may see, everybody may see. */
const NOBODY = "'00000000-0000-0000-0000-000000000000'::uuid";

/**
 * A ready photo, by its key, if the viewer may see it now: of a post if they may see the post, of a page unless it is
 * blocked, of a person always. The key alone gives no permission.
 */
export async function photoByKey(sql: Reader, viewer: string | null, key: string): Promise<ShownPhoto | undefined> {
  const [row] = await sql.query<ShownPhoto>(
    `select f.id, f.format, f.side, f.variants,
      case when f.post_id is not null
          then p.state = 'ready' and exists (select from visible_pages(${NOBODY}) v where v.id = p.page_id)
        when f.page_id is not null
          then coalesce(greatest(g.blocked_until, g.owner_blocked_until), '-infinity') <= now()
        else true end as open
    from photos f left join posts p on p.id = f.post_id left join pages g on g.id = f.page_id
    where f.key = $2 and f.state = 'ready' and (
      f.user_id is not null
      or f.page_id is not null and g.deleted_at is null and (
        coalesce(greatest(g.blocked_until, g.owner_blocked_until), '-infinity') <= now()
        or exists (select from users u where u.id = $1 and u.role <> 'user'))
      or exists (
        select from visible_pages(coalesce($1, ${NOBODY})) v where v.id = p.page_id
          and (p.state = 'ready' or v.owner_id = $1)))`,
    [viewer, key],
    "photo.by_key",
  );
  return row;
}

/** The states of photos, for requests that wait for them; deleted ones are missing. */
export async function photoStates(
  sql: Reader,
  ids: readonly string[],
): Promise<{ id: string; state: PhotoRow["state"]; problem: string | null }[]> {
  return await sql.query(
    "select id, state, problem from photos where id = any($1::uuid[])",
    [[...ids]],
    "photo.states",
  );
}

/** The owner of a photo, whose actor gets the result; undefined if the photo was deleted. */
export async function ownerOfPhoto(
  sql: Reader,
  id: string,
): Promise<{ kind: "post" | "user" | "page"; page_id: string | null; user_id: string | null } | undefined> {
  const [row] = await sql.query<{ kind: "post" | "user" | "page"; page_id: string | null; user_id: string | null }>(
    `select case when f.post_id is not null then 'post' when f.user_id is not null then 'user' else 'page' end as kind,
      coalesce(f.page_id, p.page_id) as page_id, f.user_id
    from photos f left join posts p on p.id = f.post_id where f.id = $1`,
    [id],
    "photo.owner",
  );
  return row;
}

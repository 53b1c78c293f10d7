import { CROP_JOB } from "./photos.ts";
import type { Reader, Sql, Writer } from "./sql.ts";

/**
 * Files that belong to no photo and are written outside actors: an upload before its first byte is stored, and files
 * for the sweeper. Each function is one statement. The row alone decides who owns a file.
 */

/** Announces an upload under these keys. Unless a commit attaches them to a photo, they are deleted after this time. */
export async function announceFiles(sql: Writer, keys: readonly string[], ttlMs: number): Promise<void> {
  await sql.execute(
    `insert into unowned_files (key, due_at) select k, now() + $2 * interval '1 millisecond' from unnest($1::text[]) k
    on conflict (key) do update set due_at = excluded.due_at, taken = false`,
    [[...keys], ttlMs],
    "file.announce",
  );
}

/** All files that a photo may have in storage. */
export function filesOf(key: string, staged: string): string[] {
  return [key, `${key}.1080`, `${key}.320`, staged];
}

/** Marks files as unused. */
export async function disownFiles(sql: Sql, keys: readonly string[]): Promise<void> {
  await announceFiles(sql, keys, 0);
}

/** Of announced uploads, those that no commit has taken are due for deletion now. */
export async function dropUploads(sql: Writer, keys: readonly string[]): Promise<void> {
  await sql.execute(
    "update unowned_files set due_at = now() where key = any($1::text[]) and not taken",
    [[...keys]],
    "file.drop",
  );
}

/** Takes due files for removal, for a minute. From now on no commit may own them. */
export async function takeDueFiles(sql: Writer, most: number): Promise<string[]> {
  const rows = await sql.execute<{ key: string }>(
    `update unowned_files u set taken = true, due_at = now() + interval '1 minute' from (
      select key from unowned_files where due_at <= now() order by due_at limit $1 for update skip locked) d
    where u.key = d.key returning u.key`,
    [most],
    "file.take_due",
  );
  return rows.map(({ key }) => key);
}

/** The files were deleted. One that was disowned again meanwhile is deleted again. */
export async function pruneFiles(sql: Writer, keys: readonly string[]): Promise<void> {
  await sql.execute("delete from unowned_files where key = any($1::text[]) and taken", [[...keys]], "file.forget");
}

/**
 * Uploads of failed photos of posts are kept for a retry for a limited time. Failed pictures of people and pages are
 * deleted.
 */
export async function pruneFailedUploads(sql: Writer, ttlMs: number): Promise<void> {
  await sql.execute(
    `with deleted_pictures as (
      delete from photos where state = 'failed' and post_id is null
        and created_at < now() - $1 * interval '1 millisecond'),
    old_uploads as (
      select id, staged_key from photos
      where staged_key is not null and state = 'failed' and created_at < now() - $1 * interval '1 millisecond'
      order by created_at limit 1000 for update skip locked),
    released_photos as (update photos f set staged_key = null from old_uploads where f.id = old_uploads.id)
    insert into unowned_files (key, due_at) select staged_key, now() from old_uploads
    on conflict (key) do update set due_at = excluded.due_at, taken = false`,
    [ttlMs],
    "file.drop_failed",
  );
}

/** A photo in progress without a job, as after a partial restore, gets a job again. */
export async function cropForgotten(sql: Writer): Promise<void> {
  await sql.execute(
    `insert into jobs (id, kind, payload, run_at)
    select f.id, '${CROP_JOB}', jsonb_build_object('staged', f.staged_key, 'key', f.key), now() from photos f
    where f.state = 'processing' and f.staged_key is not null and f.created_at < now() - interval '5 minutes'
      and not exists (select from jobs j where j.id = f.id)
    on conflict do nothing`,
    [],
    "file.crop_forgotten",
  );
}

/** Those of these keys that the database refers to. For the scrub. */
export async function knownFiles(sql: Reader, keys: readonly string[]): Promise<Set<string>> {
  const rows = await sql.query<{ key: string }>(
    `select k as key from unnest($1::text[]) k
    where exists (select from photos f where f.key = split_part(k, '.', 1))
      or exists (select from photos f where f.staged_key = k)
      or exists (select from unowned_files u where u.key = k)
      or exists (select from jobs j
        where j.kind in ('photo.crop', 'photo.settle') and j.payload ->> 'key' = split_part(k, '.', 1))`,
    [[...keys]],
    "file.known",
  );
  return new Set(rows.map(({ key }) => key));
}

/** Those of these keys that a photo still needs. */
export async function neededFiles(sql: Reader, keys: readonly string[]): Promise<string[]> {
  const rows = await sql.query<{ key: string }>(
    `select k as key from unnest($1::text[]) k
    where exists (select from photos f where f.key = split_part(k, '.', 1) and f.state = 'ready')
      or exists (select from photos f where f.staged_key = k and f.state <> 'ready')`,
    [[...keys]],
    "file.needed",
  );
  return rows.map(({ key }) => key);
}

/** The files that must exist, ordered by the key of their photo, after a key. */
export async function expectedFiles(
  sql: Reader,
  after: string,
  most: number,
): Promise<{ photo: string; files: string[] }[]> {
  return await sql.query<{ photo: string; files: string[] }>(
    `select f.key as photo, case when f.state = 'ready'
      then array[f.key] || array(select f.key || '.' || v from unnest(f.variants) v)
      else array_remove(array[f.staged_key], null) end as files
    from photos f where f.key > $1 order by f.key limit $2`,
    [after, most],
    "file.expected",
  );
}

import { CROP_JOB } from "./photos.ts";
import type { Reader, Sql } from "./sql.ts";

/**
 * Files that no photo owns, written outside any actor: an upload before its first byte is stored, and what the sweeper removes.
 * Each function is one statement, and who has a file is decided by its row alone.
 */

/** An upload is about to be stored under these keys; without a commit that makes them a photo's they go after this time. */
export async function announceFiles(sql: Sql, keys: readonly string[], ttlMs: number): Promise<void> {
  await sql.query(
    `insert into unowned_files (key, due_at) select k, now() + $2 * interval '1 millisecond' from unnest($1::text[]) k
    on conflict (key) do update set due_at = excluded.due_at, taken = false`,
    [[...keys], ttlMs],
    "file.announce",
  );
}

/** All that a photo may have left in storage. */
export function filesOf(key: string, staged: string): string[] {
  return [key, `${key}.1080`, `${key}.320`, staged];
}

/** Files that were made and are not wanted. */
export async function disownFiles(sql: Sql, keys: readonly string[]): Promise<void> {
  await announceFiles(sql, keys, 0);
}

/** Of uploads that were announced, those that no commit has taken over go now. */
export async function dropUploads(sql: Sql, keys: readonly string[]): Promise<void> {
  await sql.query(
    "update unowned_files set due_at = now() where key = any($1::text[]) and not taken",
    [[...keys]],
    "file.drop",
  );
}

/** Takes due files for removal, for a minute; from now on no commit may own them. */
export async function takeDueFiles(sql: Sql, most: number): Promise<string[]> {
  const rows = await sql.query<{ key: string }>(
    `update unowned_files u set taken = true, due_at = now() + interval '1 minute' from (
      select key from unowned_files where due_at <= now() order by due_at limit $1 for update skip locked) d
    where u.key = d.key returning u.key`,
    [most],
    "file.take_due",
  );
  return rows.map(({ key }) => key);
}

/** They are gone. One that was disowned once more meanwhile is removed once more. */
export async function pruneFiles(sql: Sql, keys: readonly string[]): Promise<void> {
  await sql.query("delete from unowned_files where key = any($1::text[]) and taken", [[...keys]], "file.forget");
}

/** The uploads of posts' photos that failed are kept for another try only so long; pictures of people and pages that failed go. */
export async function pruneFailedUploads(sql: Sql, ttlMs: number): Promise<void> {
  await sql.query(
    `with pictures as (
      delete from photos where state = 'failed' and post_id is null and created_at < now() - $1 * interval '1 millisecond'),
    old as (
      select id, staged_key from photos
      where staged_key is not null and state = 'failed' and created_at < now() - $1 * interval '1 millisecond'
      order by created_at limit 1000 for update skip locked),
    unstaged as (update photos f set staged_key = null from old where f.id = old.id)
    insert into unowned_files (key, due_at) select staged_key, now() from old
    on conflict (key) do update set due_at = excluded.due_at, taken = false`,
    [ttlMs],
    "file.drop_failed",
  );
}

/** A photo under way without a job, as after a restore of one and not of the other, gets it again. */
export async function cropForgotten(sql: Sql): Promise<void> {
  await sql.query(
    `insert into jobs (id, kind, payload, run_at)
    select f.id, '${CROP_JOB}', jsonb_build_object('staged', f.staged_key, 'key', f.key), now() from photos f
    where f.state = 'processing' and f.staged_key is not null and f.created_at < now() - interval '5 minutes'
      and not exists (select from jobs j where j.id = f.id)
    on conflict do nothing`,
    [],
    "file.crop_forgotten",
  );
}

/** Of these keys, those that something in the database knows: for the scrub. */
export async function knownFiles(sql: Sql, keys: readonly string[]): Promise<Set<string>> {
  const rows = await sql.query<{ key: string }>(
    `select k as key from unnest($1::text[]) k
    where exists (select from photos f where f.key = split_part(k, '.', 1)) or exists (select from photos f where f.staged_key = k)
      or exists (select from unowned_files u where u.key = k)
      or exists (select from jobs j where j.kind in ('photo.crop', 'photo.settle') and j.payload ->> 'key' = split_part(k, '.', 1))`,
    [[...keys]],
    "file.known",
  );
  return new Set(rows.map(({ key }) => key));
}

/** Of these keys, those that a photo still needs. */
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

/** The files that must exist, by the key of their photo, after one and in its order. */
export async function expectedFiles(
  sql: Sql,
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

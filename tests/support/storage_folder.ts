import assert from "node:assert/strict";

/**
 * Fails when a folder of the real tree, at any depth, holds more than `most` entries; tells how many folders there are.
 */
export function assertFoldersBounded(path: string, most: number): number {
  let folders = 1;
  const entries = [...Deno.readDirSync(path)];
  assert.ok(entries.length <= most, `${path} holds ${entries.length} entries, more than ${most}`);
  for (const { name, isDirectory } of entries) {
    if (isDirectory) folders += assertFoldersBounded(`${path}/${name}`, most);
  }
  return folders;
}

/** How many files lie below a folder. */
export function countFiles(path: string): number {
  return [...Deno.readDirSync(path)].reduce(
    (sum, { name, isDirectory }) => sum + (isDirectory ? countFiles(`${path}/${name}`) : 1),
    0,
  );
}

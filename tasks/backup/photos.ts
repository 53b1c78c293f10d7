/** The files of photos: which a backup's tables name, out of the storage and back into it. */
import { type Readable, Readable as NodeReadable } from "node:stream";
import type { ReadableStream as NodeStream } from "node:stream/web";
import { isKey, type Storage, StorageError } from "../../services/storage/storage.ts";
import { copyRows } from "./copy_text.ts";
import { measure, type Stored, writeFile } from "./stored_file.ts";

/** Files under way at once (`docs/limits.md`). */
const AT_ONCE = 4;

/** A file, and the one that can stand in for it. */
interface Named {
  key: string;
  instead?: string;
}

/** The files that the text of the table `photos` names: the squares of those that are ready, the uploads of the others. */
export async function* namedFiles(photos: Readable, columns: readonly string[]): AsyncGenerator<Named> {
  for await (const { key, state, variants, staged_key } of copyRows(photos, columns)) {
    if (key === null || key === undefined) continue;
    if (state === "ready") {
      yield { key };
      for (const side of (variants ?? "{}").slice(1, -1).split(",").filter(Boolean)) yield { key: `${key}.${side}` };
    } else if (staged_key) {
      // It may be ready by now, and its upload gone. A square that is cropped once more stays what it is.
      yield { key: staged_key, instead: key };
    }
  }
}

export interface CopiedFiles {
  count: number;
  bytes: number;
  /** Named, and not in the storage. */
  gone: string[];
}

/** Copies the named files to `folder`; tells of each that was copied. */
export async function copyFiles(
  storage: Storage,
  named: AsyncIterable<Named>,
  folder: string,
  onFile: (key: string, stored: Stored) => Promise<void> | void,
): Promise<CopiedFiles> {
  const copied: CopiedFiles = { count: 0, bytes: 0, gone: [] };
  await eachAtOnce(named, async ({ key, instead }) => {
    const stored = await copyFile(storage, key, key, folder) ??
      (instead === undefined ? undefined : await copyFile(storage, instead, key, folder));
    if (!stored) return void copied.gone.push(key);
    copied.count++;
    copied.bytes += stored.bytes;
    await onFile(key, stored);
  });
  return copied;
}

async function copyFile(storage: Storage, from: string, to: string, folder: string): Promise<Stored | undefined> {
  try {
    const found = await storage.get(from);
    return found && await writeFile(`${folder}/${to}`, NodeReadable.fromWeb(found.body as NodeStream));
  } catch (error) {
    // A damaged one is as good as none; the scrub names it.
    if (error instanceof StorageError && error.kind === "fault") return undefined;
    throw error;
  }
}

export interface ListedFile {
  key: string;
  sha256: string;
}

/** The list of files, as `sha256sum` writes it. Throws at a line that is none. */
export function* listedFiles(list: string): Generator<ListedFile> {
  for (const line of list.split("\n")) {
    if (line === "") continue;
    const [, sha256, key] = /^([0-9a-f]{64}) {2}files\/(\S+)$/.exec(line) ?? [];
    if (sha256 === undefined || key === undefined || !isKey(key)) {
      throw new Error(`The list of files is damaged: ${line}`);
    }
    yield { key, sha256 };
  }
}

export function listed(key: string, { sha256 }: Stored): string {
  return `${sha256}  files/${key}\n`;
}

/** Throws for the first file that is missing or not as it was written. */
export async function checkFiles(folder: string, files: Iterable<ListedFile>, onFile: () => void): Promise<void> {
  await eachAtOnce(files, async ({ key, sha256 }) => {
    const stored = await measure(`${folder}/files/${key}`).catch((error) => {
      if ((error as { code?: string }).code === "ENOENT") throw new Error(`The backup lacks "files/${key}"`);
      throw error;
    });
    if (stored.sha256 !== sha256) throw new Error(`"files/${key}" is damaged`);
    onFile();
  });
}

/** Puts the files into the storage, but for those that are there already. */
export async function putFiles(
  storage: Storage,
  folder: string,
  files: Iterable<ListedFile>,
  onFile: () => void,
): Promise<void> {
  await eachAtOnce(files, async ({ key }) => {
    const path = `${folder}/files/${key}`;
    const { size } = await Deno.stat(path);
    // Under a key there is never another content: it is as random as it is long.
    const there = await storage.head(key).catch((error) => {
      if (error instanceof StorageError && error.kind === "fault") return undefined;
      throw error;
    });
    if (there?.size !== size) await storage.put(key, (await Deno.open(path)).readable);
    onFile();
  });
}

/** Some at a time; after a failure no more begin, and it is told when those under way have ended. */
async function eachAtOnce<Item>(
  items: AsyncIterable<Item> | Iterable<Item>,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  const running = new Set<Promise<void>>();
  const failures: unknown[] = [];
  for await (const item of items) {
    const one: Promise<void> = work(item).catch((error) => void failures.push(error)).finally(() =>
      running.delete(one)
    );
    running.add(one);
    if (running.size >= AT_ONCE) await Promise.race(running);
    if (failures.length > 0) break;
  }
  await Promise.all(running);
  if (failures.length > 0) throw failures[0];
}

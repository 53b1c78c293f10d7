/** Photo files of a backup: which files its tables name, and copies from and to the storage. */
import { type Readable, Readable as NodeReadable } from "node:stream";
import type { ReadableStream as NodeStream } from "node:stream/web";
import { isKey, type Storage, StorageError } from "../../services/storage/storage.ts";
import { copyRows } from "./copy_text.ts";
import { measure, type Stored, writeFile } from "./stored_file.ts";

/** Files copied at the same time (`docs/limits.md`). */
const FILE_CONCURRENCY = 4;

/** A file, and the one that can replace it. */
interface Named {
  key: string;
  instead?: string;
}

/** The files named by the text of the table `photos`: squares of photos that are ready, uploads of the others. */
export async function* namedFiles(photos: Readable, columns: readonly string[]): AsyncGenerator<Named> {
  for await (const { key, state, variants, staged_key } of copyRows(photos, columns)) {
    if (key === null || key === undefined) continue;
    if (state === "ready") {
      yield { key };
      for (const side of (variants ?? "{}").slice(1, -1).split(",").filter(Boolean)) yield { key: `${key}.${side}` };
    } else if (staged_key) {
      // The photo may be ready by now and its upload deleted. A square that is cropped again keeps its key.
      yield { key: staged_key, instead: key };
    }
  }
}

export interface CopiedFiles {
  count: number;
  bytes: number;
  /** Named by the tables but missing in the storage. */
  gone: string[];
}

/** Copies the named files to `folder` and reports each one. */
export async function copyFiles(
  storage: Storage,
  named: AsyncIterable<Named>,
  folder: string,
  onFile: (key: string, stored: Stored) => Promise<void> | void,
): Promise<CopiedFiles> {
  const copied: CopiedFiles = { count: 0, bytes: 0, gone: [] };
  await eachConcurrently(named, async ({ key, instead }) => {
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
    // A damaged file counts as missing; the scrub reports it.
    if (error instanceof StorageError && error.kind === "fault") return undefined;
    throw error;
  }
}

export interface ListedFile {
  key: string;
  sha256: string;
}

/** Parses the list of files in the format of `sha256sum`. Throws at an invalid line. */
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

/** Throws for the first file that is missing or differs from its hash. */
export async function checkFiles(folder: string, files: Iterable<ListedFile>, onFile: () => void): Promise<void> {
  await eachConcurrently(files, async ({ key, sha256 }) => {
    const stored = await measure(`${folder}/files/${key}`).catch((error) => {
      if ((error as { code?: string }).code === "ENOENT") throw new Error(`The backup lacks "files/${key}"`);
      throw error;
    });
    if (stored.sha256 !== sha256) throw new Error(`"files/${key}" is damaged`);
    onFile();
  });
}

/** Uploads the files that are not in the storage yet. */
export async function putFiles(
  storage: Storage,
  folder: string,
  files: Iterable<ListedFile>,
  onFile: () => void,
): Promise<void> {
  await eachConcurrently(files, async ({ key }) => {
    const path = `${folder}/files/${key}`;
    const { size } = await Deno.stat(path);
    // A key never has two contents, because keys are random.
    const there = await storage.head(key).catch((error) => {
      if (error instanceof StorageError && error.kind === "fault") return undefined;
      throw error;
    });
    if (there?.size !== size) await storage.put(key, (await Deno.open(path)).readable);
    onFile();
  });
}

/**
 * Runs a limited number at once. After a failure no more start; the error is thrown when the running ones have ended.
 */
async function eachConcurrently<Item>(
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
    if (running.size >= FILE_CONCURRENCY) await Promise.race(running);
    if (failures.length > 0) break;
  }
  await Promise.all(running);
  if (failures.length > 0) throw failures[0];
}

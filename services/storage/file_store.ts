/**
 * The driver on disk, for one process at a time. Its folder contains `lock`; `layout.json`, the parameters of the tree;
 * `staging/`, where objects are written before they get their name; `objects/`, the tree of folders. The name of an
 * object is the SHA-256 of its key, so keys that differ only in case are distinct on every file system.
 */
import { createHash } from "node:crypto";
import { fanoutFor, FolderTree } from "./folder_tree.ts";
import { contentOf, readDescription, writeObject } from "./object_file.ts";
import { resolveRange } from "./range.ts";
import { Semaphore } from "../../lib/semaphore.ts";
import {
  aborted,
  checkKey,
  MAX_LISTED,
  type PutOptions,
  type RangeRequest,
  type ReadObject,
  type Storage,
  StorageError,
  type StoredObject,
} from "./storage.ts";
import { syncFolder } from "../../lib/fsync_dir.ts";
import { sleep } from "../../lib/sleep.ts";

/** The number of entries in the store's own folder. */
export const LEAST_MAX_ENTRIES = 4;
/** More would only share the disk. */
const MAX_WRITES = 64;
const LOCK_TRY_MS = 50;

export interface FileStoreOptions {
  /** Maximum of files and folders in a folder. It may be increased later, but not decreased. */
  maxEntries: number;
  /** How long to wait for a process that is shutting down, in milliseconds. */
  lockWaitMs?: number;
}

interface Layout {
  fanout: number;
  max_entries: number;
}

export class FileStore implements Storage {
  private readonly writes: Semaphore;
  /** The last running change of each key. */
  private readonly changes = new Map<string, Promise<void>>();
  private lastStaged = 0;
  private closed = false;

  private constructor(
    private readonly staging: string,
    private readonly tree: FolderTree,
    private readonly lock: Deno.FsFile,
    maxEntries: number,
  ) {
    this.writes = new Semaphore({ concurrency: Math.min(MAX_WRITES, maxEntries) });
  }

  /** Creates the folder at first use, and removes what aborted writes left behind. */
  static async open(folder: string, { maxEntries, lockWaitMs = 0 }: FileStoreOptions): Promise<FileStore> {
    if (!(Number.isSafeInteger(maxEntries) && maxEntries >= LEAST_MAX_ENTRIES)) {
      throw new StorageError("refused", `Expected at least ${LEAST_MAX_ENTRIES} entries per folder, got ${maxEntries}`);
    }
    await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
    const lock = await lockFolder(folder, lockWaitMs);
    try {
      const staging = `${folder}/staging`;
      await Deno.remove(staging, { recursive: true }).catch(ignoreMissing);
      for (const path of [staging, `${folder}/objects`]) await Deno.mkdir(path, { recursive: true });
      const { fanout } = await openLayout(folder, staging, maxEntries);
      await syncFolder(folder);
      return new FileStore(staging, new FolderTree(`${folder}/objects`, maxEntries, fanout), lock, maxEntries);
    } catch (error) {
      lock.close();
      throw error;
    }
  }

  async put(
    key: string,
    body: ReadableStream<Uint8Array> | Uint8Array,
    options: PutOptions = {},
  ): Promise<StoredObject> {
    checkKey(key);
    try {
      using _place = await this.writes.acquire({ signal: options.signal });
      return await this.write(key, body, options);
    } catch (error) {
      // If writing never started; otherwise the writer has done it.
      if (!(body instanceof Uint8Array) && !body.locked) void body.cancel(error).catch(() => {});
      throw options.signal?.aborted ? aborted(options.signal) : known(error);
    }
  }

  async get(key: string, request?: RangeRequest): Promise<ReadObject | undefined> {
    const file = await this.openFile(key);
    if (!file) return;
    try {
      const object = await readDescription(file);
      if (request === undefined) return { object, body: contentOf(file, { start: 0, end: object.size - 1 }) };
      const range = resolveRange(request, object.size);
      return { object, body: contentOf(file, range), range };
    } catch (error) {
      file.close();
      throw error;
    }
  }

  async head(key: string): Promise<StoredObject | undefined> {
    using file = await this.openFile(key);
    return file && await readDescription(file);
  }

  async delete(key: string): Promise<void> {
    checkKey(key);
    await this.alone(key, async () => {
      const path = await this.tree.find(nameOf(key), exists);
      if (path !== undefined) await this.tree.remove(path);
    });
  }

  /** A damaged file without a readable key is skipped; `head` reports it. */
  async list({ after, limit }: { after?: string; limit: number }): Promise<StoredObject[]> {
    if (after !== undefined) checkKey(after);
    const found: StoredObject[] = [];
    const most = Math.min(limit, MAX_LISTED);
    for await (const path of this.tree.walk(after === undefined ? "" : nameOf(after))) {
      using file = await openIfThere(path);
      const object = file && await readDescription(file).catch(ignoreDamaged);
      if (object) found.push(object);
      if (found.length >= most) break;
    }
    return found;
  }

  /** Completes running changes; uploads in progress fail. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.closed = true;
    await Promise.all(this.changes.values());
    this.lock.close();
  }

  private async write(
    key: string,
    body: ReadableStream<Uint8Array> | Uint8Array,
    options: PutOptions,
  ): Promise<StoredObject> {
    const staged = `${this.staging}/${++this.lastStaged}`;
    try {
      const object = await this.stage(staged, key, body, options);
      await this.alone(key, async () => {
        if (options.signal?.aborted) throw aborted(options.signal);
        await this.install(staged, nameOf(key));
      });
      return object;
    } catch (error) {
      await Deno.remove(staged).catch(ignoreMissing);
      throw error;
    }
  }

  private async stage(
    path: string,
    key: string,
    body: ReadableStream<Uint8Array> | Uint8Array,
    options: PutOptions,
  ): Promise<StoredObject> {
    using file = await Deno.open(path, { createNew: true, write: true, mode: 0o600 });
    return await writeObject(file, key, body, options);
  }

  /** Moves a written object to its name, over an existing file or to a new place. */
  private async install(staged: string, name: string): Promise<void> {
    const there = await this.tree.find(name, exists);
    if (there !== undefined) {
      await Deno.rename(staged, there);
      return await syncFolder(there.slice(0, there.lastIndexOf("/")));
    }
    const place = await this.tree.reserve(name);
    try {
      await Deno.rename(staged, place.path);
    } catch (error) {
      place.free();
      throw error;
    }
    await syncFolder(place.folder);
  }

  private async openFile(key: string): Promise<Deno.FsFile | undefined> {
    checkKey(key);
    let file: Deno.FsFile | undefined;
    await this.tree.find(nameOf(key), async (path) => (file = await openIfThere(path)) !== undefined);
    return file;
  }

  /** One change of a key at a time, in order. */
  private async alone(key: string, change: () => Promise<void>): Promise<void> {
    const before = this.changes.get(key);
    if (this.closed) throw new StorageError("unavailable", "The storage is closed");
    const run = (before ?? Promise.resolve()).then(change);
    const settled = run.catch(() => {});
    this.changes.set(key, settled);
    try {
      await run;
    } finally {
      if (this.changes.get(key) === settled) this.changes.delete(key);
    }
  }
}

function nameOf(key: string): string {
  return createHash("sha256").update(key).digest("hex");
}

/** Whether a process has this folder open. */
export async function isInUse(folder: string): Promise<boolean> {
  using lock = await Deno.open(`${folder}/lock`, { read: true, write: true }).catch(ignoreMissing);
  // Closing the file releases the lock.
  return lock !== undefined && !await lock.tryLock(true);
}

async function lockFolder(folder: string, waitMs: number): Promise<Deno.FsFile> {
  const lock = await Deno.open(`${folder}/lock`, { create: true, read: true, write: true, mode: 0o600 });
  for (const until = Date.now() + waitMs; !await lock.tryLock(true);) {
    if (Date.now() < until) await sleep(LOCK_TRY_MS);
    else {
      lock.close();
      throw new StorageError("unavailable", `The storage in "${folder}" is open in another process; stop that one`);
    }
  }
  return lock;
}

/** The initial fan-out is kept. */
async function openLayout(folder: string, staging: string, maxEntries: number): Promise<Layout> {
  const path = `${folder}/layout.json`;
  const text = await Deno.readTextFile(path).catch(ignoreMissing);
  const old = text === undefined ? undefined : JSON.parse(text) as Layout;
  if (old?.max_entries === maxEntries) return old;
  if (old && old.max_entries > maxEntries) {
    throw new StorageError(
      "refused",
      `The storage in "${folder}" has folders of up to ${old.max_entries} entries; ` +
        `a limit of ${maxEntries} needs a new folder`,
    );
  }
  const layout = { fanout: old?.fanout ?? fanoutFor(maxEntries), max_entries: maxEntries };
  using file = await Deno.open(`${staging}/layout`, { createNew: true, write: true });
  await file.write(new TextEncoder().encode(JSON.stringify(layout) + "\n"));
  await file.sync();
  await Deno.rename(`${staging}/layout`, path);
  return layout;
}

async function openIfThere(path: string): Promise<Deno.FsFile | undefined> {
  return await Deno.open(path, { read: true }).catch(ignoreMissing);
}

async function exists(path: string): Promise<boolean> {
  return await Deno.lstat(path).catch(ignoreMissing) !== undefined;
}

function ignoreMissing(error: unknown): undefined {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
}

function ignoreDamaged(error: unknown): undefined {
  if (!(error instanceof StorageError)) throw error;
}

function known(error: unknown): StorageError {
  if (error instanceof StorageError) return error;
  const full = error instanceof Error && /ENOSPC|EDQUOT|os error 28|os error 122/.test(error.message);
  return full
    ? new StorageError("unavailable", "The disk is full", error)
    : new StorageError("fault", "The object could not be written", error);
}

/**
 * A tree of folders, none with more than `maxEntries` entries, files and folders together. A name is a 256-bit number
 * in hexadecimal, such as a SHA-256; its digits in base `fanout` are its path from the root. A file is in the first
 * folder on its path that had room when it was added, so the upper folders fill first. Each folder reserves `fanout`
 * entries for subfolders, and has no more of them. Removing a file leaves a gap that any later file may fill. A search
 * descends as far as there are folders and does not stop at a gap, and folders are never removed, so every file is
 * found.
 */
import { syncFolder } from "../../lib/fsync_dir.ts";

interface Folder {
  path: string;
  /** Existing and reserved files. */
  files: number;
  children: Set<number>;
}

/** A place for a new file. */
export interface Place {
  folder: string;
  path: string;
  /** The file was not written. */
  free(): void;
}

const BITS = 256n;
const REST = (1n << BITS) - 1n;

/** The maximum of subfolders. It is stored with a tree, as every path depends on it. */
export function fanoutFor(maxEntries: number): number {
  return Math.min(256, Math.floor(maxEntries / 2));
}

/** Calls for one name must not overlap. */
export class FolderTree {
  private readonly known = new Map<string, Promise<Folder>>();

  constructor(private readonly root: string, private readonly maxEntries: number, private readonly fanout: number) {}

  /** The path of a file; `exists` checks each possible path. */
  async find(name: string, exists: (path: string) => Promise<boolean>): Promise<string | undefined> {
    let path = this.root;
    for (const digit of this.digits(name)) {
      const folder = await this.folder(path);
      if (await exists(`${path}/${name}`)) return `${path}/${name}`;
      if (!folder.children.has(digit)) return;
      path = child(path, digit);
    }
  }

  /** Reserves a place for a file that is not in the tree. */
  async reserve(name: string): Promise<Place> {
    let path = this.root;
    for (const digit of this.digits(name)) {
      const folder = await this.folder(path);
      // Synchronous between this check and the count.
      if (folder.files < this.maxEntries - this.fanout) {
        folder.files++;
        return { folder: path, path: `${path}/${name}`, free: () => void folder.files-- };
      }
      path = child(path, digit);
      if (!folder.children.has(digit)) await this.make(folder, digit);
    }
    throw new Error("The name has no digits left");
  }

  async remove(path: string): Promise<void> {
    const at = path.slice(0, path.lastIndexOf("/"));
    const folder = await this.folder(at);
    await Deno.remove(path);
    folder.files--;
    await syncFolder(at);
  }

  /** The paths of the files with names after `after`, ordered by name. */
  async *walk(after = ""): AsyncGenerator<string> {
    let last = "";
    for await (const { name, path } of this.walkFolder(this.root, after, after === "" ? [] : [...this.digits(after)])) {
      // Moved down during the walk.
      if (name === last) continue;
      last = name;
      yield path;
    }
  }

  /** Names below a folder share its digits, so its own files are ordered among or between those of its subfolders. */
  private async *walkFolder(
    path: string,
    after: string,
    way: number[],
  ): AsyncGenerator<{ name: string; path: string }> {
    const files: string[] = [];
    const children: number[] = [];
    for await (const entry of Deno.readDir(path)) {
      if (!entry.isDirectory && entry.name > after) files.push(entry.name);
      else if (entry.isDirectory) children.push(parseInt(entry.name, 16));
    }
    files.sort();
    let next = 0;
    const [first = 0, ...rest] = way;
    for (const digit of children.filter((each) => each >= first).sort((a, b) => a - b)) {
      for await (const below of this.walkFolder(child(path, digit), after, digit === first ? rest : [])) {
        for (; next < files.length && files[next]! <= below.name; next++) yield at(path, files[next]!);
        yield below;
      }
    }
    for (; next < files.length; next++) yield at(path, files[next]!);
  }

  /** Listed once; afterwards its entries change only through this tree. */
  private folder(path: string): Promise<Folder> {
    let folder = this.known.get(path);
    if (!folder) {
      folder = list(path);
      this.known.set(path, folder);
      folder.catch(() => this.known.delete(path));
    }
    return folder;
  }

  private async make(parent: Folder, digit: number): Promise<void> {
    await Deno.mkdir(child(parent.path, digit), { recursive: true });
    await syncFolder(parent.path);
    parent.children.add(digit);
  }

  /** Most significant first, as the digits of a fraction, so that paths are ordered like names. */
  private *digits(name: string): Generator<number> {
    let rest = BigInt(`0x${name}`);
    for (let i = 0n; i < BITS; i++) {
      rest *= BigInt(this.fanout);
      yield Number(rest >> BITS);
      rest &= REST;
    }
  }
}

function child(path: string, digit: number): string {
  return `${path}/${digit.toString(16).padStart(2, "0")}`;
}

function at(folder: string, name: string) {
  return { name, path: `${folder}/${name}` };
}

async function list(path: string): Promise<Folder> {
  const folder: Folder = { path, files: 0, children: new Set() };
  for await (const entry of Deno.readDir(path)) {
    if (entry.isDirectory) folder.children.add(parseInt(entry.name, 16));
    else folder.files++;
  }
  return folder;
}

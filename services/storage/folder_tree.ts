/**
 * A tree of folders none of which ever holds more than `maxEntries` entries, files and folders together. A name is a number
 * of 256 bits in hexadecimal, as a SHA-256 is; its digits in base `fanout` are its way down from the root. A file lies in the
 * first folder on its way that had room when it came, so the upper folders fill first. Each folder keeps `fanout` entries
 * free for folders below it, and more of them it cannot have.
 *
 * Removing a file opens a hole that any later file may fill. A search goes down as far as there are folders and never stops
 * at a hole, and folders are never removed, so no file is lost to it.
 */
import { syncFolder } from "../../lib/fsync_dir.ts";

interface Folder {
  path: string;
  /** Those there and those about to come. */
  files: number;
  children: Set<number>;
}

/** A place for a file that is not there yet. */
export interface Place {
  folder: string;
  path: string;
  /** The file did not come. */
  free(): void;
}

const BITS = 256n;
const REST = (1n << BITS) - 1n;

/** The most folders in a folder; written down with a tree, as every way in it depends on that. */
export function fanoutFor(maxEntries: number): number {
  return Math.min(256, Math.floor(maxEntries / 2));
}

/** The caller sees to it that of two calls for one name the second begins when the first has ended. */
export class FolderTree {
  private readonly known = new Map<string, Promise<Folder>>();

  constructor(private readonly root: string, private readonly maxEntries: number, private readonly fanout: number) {}

  /** The path of a file, which `exists` finds out for each path that it can have. */
  async find(name: string, exists: (path: string) => Promise<boolean>): Promise<string | undefined> {
    let path = this.root;
    for (const digit of this.digits(name)) {
      const folder = await this.folder(path);
      if (await exists(`${path}/${name}`)) return `${path}/${name}`;
      if (!folder.children.has(digit)) return;
      path = child(path, digit);
    }
  }

  /** Takes a place for a file that is nowhere in the tree yet. */
  async reserve(name: string): Promise<Place> {
    let path = this.root;
    for (const digit of this.digits(name)) {
      const folder = await this.folder(path);
      // Between this look and the count nothing else runs.
      if (folder.files < this.maxEntries - this.fanout) {
        folder.files++;
        return { folder: path, path: `${path}/${name}`, free: () => void folder.files-- };
      }
      path = child(path, digit);
      if (!folder.children.has(digit)) await this.make(folder, digit);
    }
    throw new Error("No name has so many digits");
  }

  async remove(path: string): Promise<void> {
    const at = path.slice(0, path.lastIndexOf("/"));
    const folder = await this.folder(at);
    await Deno.remove(path);
    folder.files--;
    await syncFolder(at);
  }

  /** The paths of the files whose names come after `after`, in the order of names. */
  async *walk(after = ""): AsyncGenerator<string> {
    let last = "";
    for await (const { name, path } of this.walkFolder(this.root, after, after === "" ? [] : [...this.digits(after)])) {
      // Moved down while the walk was on.
      if (name === last) continue;
      last = name;
      yield path;
    }
  }

  /** Names below a folder share its digits, so its own files lie among those of its children, or between them. */
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

  /** Listed once; from then on its entries change through this tree only. */
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

  /** From the most significant on, as the digits of a fraction, so that the order of ways is the order of names. */
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

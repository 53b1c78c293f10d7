/** Disks of a test's own, mounted in a temporary folder. Mounting is root's. */
import assert from "node:assert/strict";
import { freshDataDir } from "./database.ts";

export interface Mounted extends AsyncDisposable {
  path: string;
}

/** What `mount` with these arguments shows. */
export async function mounted(source: string, name: string, ...how: string[]): Promise<Mounted> {
  const path = await Deno.makeTempDir({ prefix: `rookery-${name}-` });
  await run("mount", ...how, source, path);
  return {
    path,
    [Symbol.asyncDispose]: async () => {
      await run("umount", "--lazy", path);
      await Deno.remove(path, { recursive: true });
    },
  };
}

/** A data folder with a database, on a disk of this size, like `140m`. */
export async function smallDisk(size: string): Promise<Mounted> {
  await using template = await freshDataDir();
  const disk = await mounted("rookery-test", "disk", "-t", "tmpfs", "-o", `size=${size}`);
  await run("cp", "-pR", `${template.path}/postgres`, disk.path);
  return disk;
}

/** Takes all the room that is left, by a file at `path`. */
export async function takeRoom(path: string): Promise<void> {
  using file = await Deno.open(path, { create: true, append: true });
  for (const size of [1024 * 1024, 4096]) {
    const piece = new Uint8Array(size);
    while (await file.write(piece).catch(() => 0) === size);
  }
}

export async function run(program: string, ...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(program, { args }).output();
  assert.ok(success, `${program}: ${new TextDecoder().decode(stderr)}`);
}

/**
 * Embedded databases for tests. Making one anew takes three seconds and its tables one more, so all are copies of one that is made
 * once a machine and kept in the folder for temporary files.
 */
import { createHash } from "node:crypto";
import { MAIN, migrate, readMigrations } from "../../db/migrate.ts";
import { openPglite, type Pglite } from "../../db/pglite.ts";
import { STATS, StatsStore } from "../../stats/store.ts";

const VERSION = import.meta.resolve("@electric-sql/pglite").match(/\d+\.\d+\.\d+/)?.[0];

export interface Wanted {
  /** With all tables, as nearly every test wants it; else empty. */
  migrated?: boolean;
}

/** A database of its own without anybody's data; closing it removes its folder. */
export async function openTestDatabase(wanted: Wanted = {}): Promise<Pglite> {
  const folder = await freshDataDir(wanted);
  const database = await openPglite(folder.path);
  return {
    query: (text, params, name) => database.query(text, params, name),
    script: (text) => database.script(text),
    port: () => database.port(),
    ended: database.ended,
    async [Symbol.asyncDispose]() {
      await database[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}

/** A data folder with such a database that nobody has open. All copies are of one history (`sequencer.epoch`). */
export async function freshDataDir({ migrated = true }: Wanted = {}): Promise<{ path: string } & AsyncDisposable> {
  const template = await (migrated ? migratedTemplate() : emptyTemplate());
  const path = await Deno.makeTempDir({ prefix: "rookery-test-" });
  await copy(template, path);
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

function emptyTemplate(): Promise<string> {
  return template("empty", async (draft) => {
    await (await openPglite(draft))[Symbol.asyncDispose]();
  });
}

async function migratedTemplate(): Promise<string> {
  const hash = createHash("sha256");
  for (const { folder } of [MAIN, STATS]) {
    for (const { name, text } of await readMigrations(folder)) hash.update(`${name}\n${text}\n`);
  }
  return await template(hash.digest("hex").slice(0, 12), async (draft) => {
    await copy(await emptyTemplate(), draft);
    await using sql = await openPglite(draft);
    await migrate(sql);
    await new StatsStore(sql, true).migrate();
  });
}

async function template(name: string, make: (draft: string) => Promise<void>): Promise<string> {
  const path = `${Deno.env.get("TMPDIR") ?? "/tmp"}/rookery-pglite-${VERSION}-${name}-${Deno.uid()}`;
  const existing = await Deno.stat(path).catch(() => undefined);
  if (existing) {
    if (existing.uid === Deno.uid()) return path;
    throw new Error(`"${path}" belongs to another user; remove it`);
  }
  const draft = await Deno.makeTempDir({ prefix: "rookery-template-" });
  await make(draft);
  // Whoever renames first has made it, for all.
  await Deno.rename(draft, path).catch(async (error) => {
    await Deno.remove(draft, { recursive: true });
    await Deno.stat(path).catch(() => {
      throw error;
    });
  });
  return path;
}

/** The database of one data folder into another. */
async function copy(from: string, to: string): Promise<void> {
  const { success, stderr } = await new Deno.Command("cp", { args: ["-R", `${from}/postgres`, to] }).output();
  if (!success) throw new Error(`The template could not be copied: ${new TextDecoder().decode(stderr)}`);
}

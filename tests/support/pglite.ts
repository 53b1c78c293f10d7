/**
 * Embedded databases for tests. Making one anew takes three seconds, so all are copies of one that is made once a machine and
 * kept in the folder for temporary files.
 */
import { openPglite, type Pglite } from "../../db/pglite.ts";

const VERSION = import.meta.resolve("@electric-sql/pglite").match(/\d+\.\d+\.\d+/)?.[0];
const TEMPLATE = `${Deno.env.get("TMPDIR") ?? "/tmp"}/rookery-pglite-${VERSION}-${Deno.uid()}`;

/** An empty database of its own; closing it removes its folder. */
export async function openTestDatabase(): Promise<Pglite> {
  const folder = await freshDataDir();
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

/** A data folder with an empty database that nobody has open. */
export async function freshDataDir(): Promise<{ path: string } & AsyncDisposable> {
  await makeTemplate();
  const path = await Deno.makeTempDir({ prefix: "rookery-test-" });
  await copy(`${TEMPLATE}/postgres`, `${path}/postgres`);
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

async function makeTemplate(): Promise<void> {
  const existing = await Deno.stat(TEMPLATE).catch(() => undefined);
  if (existing) {
    if (existing.uid === Deno.uid()) return;
    throw new Error(`"${TEMPLATE}" belongs to another user; remove it`);
  }
  const draft = await Deno.makeTempDir({ prefix: "rookery-template-" });
  await (await openPglite(draft))[Symbol.asyncDispose]();
  // Whoever renames first has made it, for all.
  await Deno.rename(draft, TEMPLATE).catch(async (error) => {
    await Deno.remove(draft, { recursive: true });
    await Deno.stat(TEMPLATE).catch(() => {
      throw error;
    });
  });
}

async function copy(from: string, to: string): Promise<void> {
  const { success, stderr } = await new Deno.Command("cp", { args: ["-R", from, to] }).output();
  if (!success) throw new Error(`The template could not be copied: ${new TextDecoder().decode(stderr)}`);
}

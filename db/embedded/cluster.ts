/** The folder of the embedded database: creation, and checks before use. */
import { EmbeddedRefused, OlderCluster, refusalOf } from "./refused.ts";
import type { RunAs } from "./run_as.ts";

/** The major version of data folders that this version opens. */
export const MAJOR = 18;
const DRAFT = "postgres.new-";

export function clusterFolder(dataDir: string): string {
  return `${dataDir}/postgres`;
}

/** The owner of the folder; undefined if it does not exist. Throws `EmbeddedRefused` if it cannot be used. */
export async function checkCluster(dataDir: string): Promise<number | undefined> {
  const folder = clusterFolder(dataDir);
  const info = await Deno.lstat(folder).catch((error) => {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw refusalOf(error, dataDir) ?? error;
  });
  if (info === undefined) return undefined;
  const uid = Deno.build.os === "windows" ? undefined : Deno.uid();
  const owner = info.uid ?? 0;
  if (uid !== null && uid !== undefined && uid !== 0 && owner !== uid) {
    throw new EmbeddedRefused(
      `The database in "${folder}" belongs to user ${owner}, and this is user ${uid}; start Rookery as that user, ` +
        `or give it away with: chown -R ${uid} "${dataDir}"`,
    );
  }
  const major = await majorOf(folder);
  if (major === undefined) {
    throw new EmbeddedRefused(`The folder "${folder}" is no database; move it away, or set DATA_DIR to another`);
  }
  if (major === MAJOR && await isPglite(folder)) {
    throw new EmbeddedRefused(
      `The database in "${folder}" was created by PGlite, which this version does not support; ` +
        `CHANGELOG.md describes the migration by backup`,
    );
  }
  if (major < MAJOR) throw new OlderCluster(folder, major, MAJOR);
  if (major > MAJOR) {
    throw new EmbeddedRefused(
      `The database in "${folder}" is of Postgres ${major}, and this version of Rookery supports ${MAJOR}; ` +
        `install a newer version of Rookery`,
    );
  }
  if (info.mode !== null && (info.mode & 0o027) !== 0) {
    throw new EmbeddedRefused(`Postgres refuses "${folder}", as other users may enter it; run: chmod 0700 "${folder}"`);
  }
  return owner;
}

/** The version of a folder of Postgres; undefined if it is none. */
export async function majorOf(folder: string): Promise<number | undefined> {
  const text = await Deno.readTextFile(`${folder}/PG_VERSION`).catch(() => undefined);
  return text !== undefined && /^\d+\s*$/.test(text) ? Number(text) : undefined;
}

/** The offset in the control file of Postgres 18 of the flag for `float8` by value (`ControlFileData.float8ByVal`). */
const FLOAT8_BY_VALUE = 0xf8;

/** PGlite is a 32-bit build, without `float8` by value. All platforms with a package have it. */
async function isPglite(folder: string): Promise<boolean> {
  const control = await Deno.readFile(`${folder}/global/pg_control`).catch(() => undefined);
  return control?.[FLOAT8_BY_VALUE] === 0;
}

/**
 * Creates the database, all or nothing: the next attempt removes an incomplete one. Needs the lock of the data folder.
 */
export async function makeCluster(
  dataDir: string,
  make: (draft: string) => Promise<{ success: boolean; output: string }>,
  { owner }: RunAs,
): Promise<void> {
  for await (const { name } of Deno.readDir(dataDir)) {
    if (name.startsWith(DRAFT)) await Deno.remove(`${dataDir}/${name}`, { recursive: true });
  }
  const draft = `${dataDir}/${DRAFT}${crypto.randomUUID()}`;
  try {
    await Deno.mkdir(draft, { mode: 0o700 });
    if (owner) await Deno.chown(draft, owner.uid, owner.gid);
    const { success, output } = await make(draft);
    if (!success) throw refusalOf(output, dataDir) ?? new Error(`Failed to create the database: ${output.trim()}`);
    await Deno.rename(draft, clusterFolder(dataDir));
  } catch (error) {
    await Deno.remove(draft, { recursive: true }).catch(() => {});
    throw error;
  }
}

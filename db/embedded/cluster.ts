/** The folder of the embedded database: how it is made, and whether it can be used as it is. */
import { EmbeddedRefused, OlderCluster, refusalOf } from "./refused.ts";
import type { RunAs } from "./run_as.ts";

/** The major version whose folders this version of Rookery opens. */
export const MAJOR = 18;
const DRAFT = "postgres.new-";

export function clusterFolder(dataDir: string): string {
  return `${dataDir}/postgres`;
}

/** The user it belongs to; undefined where there is none yet. Throws `EmbeddedRefused` where it cannot be used. */
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
    throw new EmbeddedRefused(`There is no database in "${folder}"; move that folder away, or set DATA_DIR to another`);
  }
  if (major === MAJOR && await isPglite(folder)) {
    throw new EmbeddedRefused(
      `The database in "${folder}" was made by PGlite, which this version no longer has; ` +
        `CHANGELOG.md says how to bring it over with a backup`,
    );
  }
  if (major < MAJOR) throw new OlderCluster(folder, major, MAJOR);
  if (major > MAJOR) {
    throw new EmbeddedRefused(
      `The database in "${folder}" is of Postgres ${major}, newer than this version of Rookery, which has ${MAJOR}; ` +
        `install a newer version of Rookery`,
    );
  }
  if (info.mode !== null && (info.mode & 0o027) !== 0) {
    throw new EmbeddedRefused(`Others may enter "${folder}", which Postgres refuses; run: chmod 0700 "${folder}"`);
  }
  return owner;
}

/** Of a folder that Postgres made; undefined where none did. */
export async function majorOf(folder: string): Promise<number | undefined> {
  const text = await Deno.readTextFile(`${folder}/PG_VERSION`).catch(() => undefined);
  return text !== undefined && /^\d+\s*$/.test(text) ? Number(text) : undefined;
}

/** Where the control file of Postgres 18 says whether `float8` is passed by value (`ControlFileData.float8ByVal`). */
const FLOAT8_BY_VALUE = 0xf8;

/** PGlite is a build for a machine of 32 bits, where it is not; on all platforms with a package it is. */
async function isPglite(folder: string): Promise<boolean> {
  const control = await Deno.readFile(`${folder}/global/pg_control`).catch(() => undefined);
  return control?.[FLOAT8_BY_VALUE] === 0;
}

/** Makes it whole or not at all: what died half-way is removed by the next. Call it under the data folder's lock. */
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
    if (!success) throw refusalOf(output, dataDir) ?? new Error(`The database could not be made: ${output.trim()}`);
    await Deno.rename(draft, clusterFolder(dataDir));
  } catch (error) {
    await Deno.remove(draft, { recursive: true }).catch(() => {});
    throw error;
  }
}

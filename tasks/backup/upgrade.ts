/** Upgrades an embedded database from an older major version. The history stays the same and sessions stay valid. */
import { checkCluster, MAJOR } from "../../db/embedded/cluster.ts";
import { loadOlder, olderPackage } from "../../db/embedded/older.ts";
import { type DataLock, lockData } from "../../db/embedded/lock.ts";
import { EmbeddedRefused, OlderCluster } from "../../db/embedded/refused.ts";
import { startEmbedded } from "../../db/embedded/server.ts";
import { BUILD_SEARCH } from "../../db/search/build.ts";
import { fill } from "./restore.ts";
import { snapshotOf } from "./source.ts";
import { embeddedTarget } from "./target.ts";
import type { Watcher } from "./write.ts";

/** Unlike a backup, this includes used tickets: they must not be used a second time. */
const LEFT_OUT = ["migrations", "nodes", "page_search", "user_search", "popular_pages", "spellings"];

export interface Upgraded {
  from: number;
  to: number;
  /** The path of the old database, which is kept. */
  kept: string;
}

/** Atomic: at any moment the folder has the complete old or new database. Throws `EmbeddedRefused` if it cannot run. */
export async function upgradeFolder(
  dataDir: string,
  watcher: Watcher,
  say: (line: string) => void,
): Promise<Upgraded> {
  using lock = await lockData(dataDir);
  const major = await olderMajor(dataDir);
  const keepAs = `postgres-${major}`;
  const kept = `${dataDir}/${keepAs}`;
  if (await Deno.lstat(kept).then(() => true, () => false)) {
    throw new EmbeddedRefused(`"${kept}" of an earlier upgrade exists; move it away first`);
  }
  say(`Loading ${olderPackage(major)}`);
  const binaries = await loadOlder(major);
  await using target = await embeddedTarget(dataDir, { replace: true, key: undefined, lock, keepAs });
  await copyInto(target, dataDir, { lock, older: { binaries, major } }, watcher);
  await target.sql.script(BUILD_SEARCH);
  await target.sql.script("analyze");
  await target.commit();
  return { from: major, to: MAJOR, kept };
}

/** The old server has stopped when this returns. */
async function copyInto(
  target: Awaited<ReturnType<typeof embeddedTarget>>,
  dataDir: string,
  options: { lock: DataLock; older: NonNullable<Parameters<typeof startEmbedded>[1]>["older"] & object },
  watcher: Watcher,
): Promise<void> {
  await using server = await startEmbedded(dataDir, options);
  await using snapshot = await snapshotOf(server.url, LEFT_OUT);
  const { tables: columns, migrations, read, count, sequences } = snapshot;
  await fill(target, { columns, migrations, read, count, sequences, leftOut: LEFT_OUT }, watcher);
}

async function olderMajor(dataDir: string): Promise<number> {
  try {
    const owner = await checkCluster(dataDir);
    throw new EmbeddedRefused(
      owner === undefined
        ? `There is no database in "${dataDir}"`
        : `The database in "${dataDir}" already has Postgres ${MAJOR}`,
    );
  } catch (error) {
    if (error instanceof OlderCluster) return error.major;
    throw error;
  }
}

import { pruneFiles, takeDueFiles } from "../db/files.ts";
import type { Sql } from "../db/sql.ts";
import type { Log } from "../lib/log.ts";
import { Poller } from "../lib/poller.ts";
import type { Storage } from "../services/storage/storage.ts";

const EVERY_MS = 1_000;
const FILE_BATCH = 100;
/** Files removed beside each other. */
const BESIDE = 8;

/** Removes the files that nothing owns any more; a crash in between only makes it do so again. */
export class FileSweeper implements AsyncDisposable {
  readonly #poller: Poller;

  constructor(private readonly sql: Sql, private readonly storage: Storage, log: Log) {
    this.#poller = new Poller({
      everyMs: EVERY_MS,
      step: () => this.#sweep(),
      onFailure: (error) => log.warn("files could not be removed yet; trying again", { error }),
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#poller[Symbol.asyncDispose]();
  }

  /** True where there may be more. */
  async #sweep(): Promise<boolean> {
    const keys = await takeDueFiles(this.sql, FILE_BATCH);
    const failures: unknown[] = [];
    for (let i = 0; i < keys.length; i += BESIDE) {
      const some = keys.slice(i, i + BESIDE);
      const ends = await Promise.allSettled(some.map((key) => this.storage.delete(key)));
      // What could not be removed comes again in a minute, and keeps nothing else.
      await pruneFiles(this.sql, some.filter((_, j) => ends[j]!.status === "fulfilled"));
      failures.push(...ends.flatMap((end) => end.status === "rejected" ? [end.reason] : []));
    }
    if (failures.length > 0) throw failures[0];
    return keys.length === FILE_BATCH;
  }
}

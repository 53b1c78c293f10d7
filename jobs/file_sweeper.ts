import { pruneFiles, takeDueFiles } from "../db/files.ts";
import type { Sql } from "../db/sql.ts";
import type { Log } from "../lib/log.ts";
import { Poller } from "../lib/poller.ts";
import type { Storage } from "../services/storage/storage.ts";

const EVERY_MS = 1_000;
const FILE_BATCH = 100;
/** Concurrent deletions. */
const FILE_CONCURRENCY = 8;

/** Deletes files without an owner. A deletion interrupted by a crash is repeated. */
export class FileSweeper implements AsyncDisposable {
  readonly #poller: Poller;

  constructor(private readonly sql: Sql, private readonly storage: Storage, log: Log) {
    this.#poller = new Poller({
      everyMs: EVERY_MS,
      step: () => this.#sweep(),
      onFailure: (error) => log.warnOften("deleting files failed, retrying", {}, { error }),
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#poller[Symbol.asyncDispose]();
  }

  /** True where there may be more. */
  async #sweep(): Promise<boolean> {
    const keys = await takeDueFiles(this.sql, FILE_BATCH);
    const failures: unknown[] = [];
    for (let i = 0; i < keys.length; i += FILE_CONCURRENCY) {
      const some = keys.slice(i, i + FILE_CONCURRENCY);
      const ends = await Promise.allSettled(some.map((key) => this.storage.delete(key)));
      // Failed deletions are retried in a minute and do not block others.
      await pruneFiles(this.sql, some.filter((_, j) => ends[j]!.status === "fulfilled"));
      failures.push(...ends.flatMap((end) => end.status === "rejected" ? [end.reason] : []));
    }
    if (failures.length > 0) throw failures[0];
    return keys.length === FILE_BATCH;
  }
}

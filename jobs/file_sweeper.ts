import { pruneFiles, takeDueFiles } from "../db/files.ts";
import type { Sql } from "../db/sql.ts";
import type { Log } from "../lib/log.ts";
import type { Storage } from "../services/storage/storage.ts";

const EVERY_MS = 1_000;
const AT_ONCE = 100;
/** Files removed beside each other. */
const BESIDE = 8;

/** Removes the files that nothing owns any more; a crash in between only makes it do so again. */
export class FileSweeper implements AsyncDisposable {
  #timer: ReturnType<typeof setTimeout> | undefined;
  #running: Promise<void> | undefined;
  #closed = false;

  constructor(private readonly sql: Sql, private readonly storage: Storage, private readonly log: Log) {
    this.#wait();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#running;
  }

  #wait(): void {
    if (this.#closed) return;
    this.#timer = setTimeout(() => {
      this.#running = this.#sweep().catch((error) => {
        if (!this.#closed) this.log.warn("files could not be removed yet; trying again", { error });
      }).finally(() => this.#wait());
    }, EVERY_MS);
  }

  async #sweep(): Promise<void> {
    for (let keys = await takeDueFiles(this.sql, AT_ONCE); keys.length > 0;) {
      const failures: unknown[] = [];
      for (let i = 0; i < keys.length; i += BESIDE) {
        const some = keys.slice(i, i + BESIDE);
        const ends = await Promise.allSettled(some.map((key) => this.storage.delete(key)));
        // What could not be removed comes again in a minute, and keeps nothing else.
        await pruneFiles(this.sql, some.filter((_, j) => ends[j]!.status === "fulfilled"));
        failures.push(...ends.flatMap((end) => end.status === "rejected" ? [end.reason] : []));
      }
      if (failures.length > 0) throw failures[0];
      if (this.#closed || keys.length < AT_ONCE) return;
      keys = await takeDueFiles(this.sql, AT_ONCE);
    }
  }
}

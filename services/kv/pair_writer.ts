import { setImmediate } from "node:timers";
import { insertPairs, isThere, type PairsToWrite, writePairs, type Written } from "../../db/kv.ts";
import { SqlError, type Writer } from "../../db/sql.ts";

/** Concurrent statements, and the limits of one (`docs/limits.md`). */
const IN_FLIGHT = 2;
const MAX_BATCHES = 32;
const MAX_PAIRS = 2_000;
/** Characters of values. */
const MAX_TEXT_LENGTH = 1024 * 1024;
/** How many waiting batches are considered for a statement. */
const LOOKED_AT = 256;
/** Spaces remembered because a batch had an existing key. */
const MAX_REMEMBERED = 10_000;

/** `insert`: expects that none of the keys exists. */
type WriteMode = "insert" | "skip" | "overwrite";

interface Waiting {
  batch: PairsToWrite;
  mode: WriteMode;
  length: number;
  resolve(written: Written): void;
  reject(error: unknown): void;
}

/**
 * Group commit, like that of the actors: batches that wait during a write share the next statement, its mode, its WAL
 * record and its sync; a single batch does not wait. A space has one statement at a time, so that writers of one space
 * do not queue for its row. Keys are expected to be new, as most are. No semaphore: the next batch depends on which
 * spaces are busy.
 */
export class PairWriter {
  #waiting: Waiting[] = [];
  /** Spaces that are being written. */
  #busy = new Set<string>();
  /** Spaces whose last batch had existing keys: the next may have some too. */
  #met = new Set<string>();
  #inFlight = 0;
  #called = false;

  constructor(private readonly sql: Writer) {}

  write(batch: PairsToWrite, overwrite: boolean): Promise<Written> {
    return new Promise((resolve, reject) => {
      const length = batch.values.reduce((sum, value) => sum + value.length, 0);
      const mode = overwrite ? "overwrite" : this.#met.has(batch.space) ? "skip" : "insert";
      this.#waiting.push({ batch, mode, length, resolve, reject });
      if (this.#called) return;
      // Later, so that other batches of this turn of the event loop share the statement.
      this.#called = true;
      setImmediate(() => {
        this.#called = false;
        this.#pump();
      });
    });
  }

  #pump(): void {
    while (this.#inFlight < IN_FLIGHT) {
      const group = this.#next();
      if (group.length === 0) return;
      const taken = new Set(group);
      this.#waiting = this.#waiting.filter((one) => !taken.has(one));
      for (const { batch } of group) this.#busy.add(batch.space);
      this.#inFlight++;
      void this.#run(group).finally(() => {
        this.#inFlight--;
        for (const { batch } of group) this.#busy.delete(batch.space);
        this.#pump();
      });
    }
  }

  /** The first batch that can be written now, and those that can share its statement. */
  #next(): Waiting[] {
    const group: Waiting[] = [];
    let pairs = 0;
    let text = 0;
    for (const one of this.#waiting.slice(0, LOOKED_AT)) {
      if (this.#busy.has(one.batch.space)) continue;
      pairs += one.batch.keys.length;
      text += one.length;
      if (group.length > 0) {
        const full = group.length === MAX_BATCHES || pairs > MAX_PAIRS || text > MAX_TEXT_LENGTH;
        if (full || one.mode !== group[0]!.mode) break;
        if (group.some((other) => shareKeys(one.batch, other.batch))) break;
      }
      group.push(one);
    }
    return group;
  }

  async #run(group: Waiting[]): Promise<void> {
    const [{ mode }] = group as [Waiting];
    const batches = group.map(({ batch }) => batch);
    try {
      const answers = await (mode === "insert"
        ? insertPairs(this.sql, batches)
        : writePairs(this.sql, batches, mode === "overwrite"));
      group.forEach((one, i) => {
        if (mode === "skip" && answers[i]!.ignored.length === 0) {
          this.#met.delete(one.batch.space);
        }
        one.resolve(answers[i]!);
      });
    } catch (error) {
      // A batch that fails must not affect the others: each gets its own statement.
      if (group.length > 1 && error instanceof SqlError && error.kind !== "lost" && error.kind !== "unavailable") {
        for (const one of group) await this.#run([one]);
      } else if (mode === "insert" && isThere(error)) {
        this.#remember(batches[0]!.space);
        await this.#run([{ ...group[0]!, mode: "skip" }]);
      } else for (const one of group) one.reject(error);
    }
  }

  #remember(space: string): void {
    if (this.#met.size >= MAX_REMEMBERED) this.#met.clear();
    this.#met.add(space);
  }
}

function shareKeys(one: PairsToWrite, other: PairsToWrite): boolean {
  if (one.space !== other.space) return false;
  const keys = new Set(other.keys);
  return one.keys.some((key) => keys.has(key));
}

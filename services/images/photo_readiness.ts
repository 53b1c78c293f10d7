import { photoStates } from "../../db/photos.ts";
import type { Reader } from "../../db/sql.ts";

/** How long a request waits for its photos before the response 202 (`docs/limits.md`). */
export const READY_WITHIN_MS = 5_000;
/** Polling interval, for photos that another node processes. */
const LOOK_MS = 250;

export interface FailedPhoto {
  /** The index among the requested ids. */
  index: number;
  problem: string;
}

/** Lets a request wait for its photos. */
export class PhotoReadiness {
  #wakers = new Set<() => void>();

  constructor(private readonly sql: Reader) {}

  /** A photo has a result on this node. */
  changed(): void {
    for (const wake of this.#wakers) wake();
  }

  /** Resolves when none of these is in progress any more, or after `timeoutMs`, with the failed ones. */
  async until(ids: readonly string[], timeoutMs: number): Promise<{ done: boolean; failed: FailedPhoto[] }> {
    const end = Date.now() + timeoutMs;
    for (;;) {
      const states = await photoStates(this.sql, ids);
      const failed = states.flatMap(({ id, state, problem }) =>
        state === "failed" ? [{ index: ids.indexOf(id), problem: problem ?? "engine-failed" }] : []
      ).sort((one, other) => one.index - other.index);
      if (!states.some(({ state }) => state === "processing")) return { done: true, failed };
      const left = end - Date.now();
      if (left <= 0) return { done: false, failed };
      await this.#wakeOr(Math.min(left, LOOK_MS));
    }
  }

  #wakeOr(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        this.#wakers.delete(wake);
        clearTimeout(timer);
        resolve();
      };
      const timer = setTimeout(wake, ms);
      this.#wakers.add(wake);
    });
  }
}

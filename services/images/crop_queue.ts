/**
 * Carries ids of crop jobs to whoever crops: at least once while the server keeps its memory. Postgres is the truth: who gets an
 * id looks there for what is to be done, and a sweeper pushes again what was lost here.
 */
export interface CropQueue extends AsyncDisposable {
  /**
   * False where not all ids were taken, as when the server is away; never throws. An id that waits or is worked on already may be
   * dropped, or worked on once more.
   */
  push(ids: readonly string[]): Promise<boolean>;
  /**
   * Takes ids, at most `concurrency` at a time. An id is acknowledged when `work` ends, however it ends: one that threw comes again
   * only by another push. Disposing what is returned takes no more and waits for those under way; disposing the queue does so with
   * all its consumers.
   */
  consume(work: (id: string) => Promise<void>, concurrency: number): AsyncDisposable;
}

/** Ids that wait; over it the sweeper brings again what was dropped (`docs/limits.md`). */
export const MAX_WAITING = 100_000;

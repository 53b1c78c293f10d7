/**
 * Delivers ids of jobs to consumers, at least once as long as the server keeps its memory. Postgres is the source
 * of truth: a consumer looks there for the work, and a sweeper pushes lost ids again.
 */
export interface JobQueue extends AsyncDisposable {
  /**
   * False if not all ids were accepted, as without a connection; never throws. An id that is already queued or in
   * progress may be dropped or delivered again.
   */
  push(ids: readonly string[]): Promise<boolean>;
  /**
   * Consumes ids, at most `concurrency` at a time. An id is acknowledged when `work` ends, also by an error: then it
   * returns only by another push. Disposing the result stops and waits for running work; disposing the queue does the
   * same for all consumers.
   */
  consume(work: (id: string) => Promise<void>, concurrency: number): AsyncDisposable;
}

/** Maximum of queued ids. Beyond this they are dropped, and the sweeper pushes them again (`docs/limits.md`). */
export const MAX_WAITING = 100_000;

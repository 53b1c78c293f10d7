import type { Command, HostStats, Ref } from "./protocol.ts";

export interface AskOptions {
  /** Milliseconds until the outcome counts as unknown (`docs/limits.md`). */
  timeoutMs?: number;
  receipt?: string | undefined;
}

/** How actors are asked, wherever they are: in this process (`pool.ts`), or over the bus at the node that has them (`remote_actors.ts`). */
export interface Actors extends AsyncDisposable {
  /** Asks an actor and waits until its reply, and every event it committed, is known on this node. Throws `AppError`. */
  ask<Value>(ref: Ref, command: Command, options?: AskOptions): Promise<Value>;
  /** Resolves when they can be asked now; rejects where they cannot. */
  reach(): Promise<void>;
  /** Of the actors in this process. */
  stats(): Promise<HostStats[]>;
  /** Calls under way from here. */
  readonly waiting: number;
  /** Waits, at most so many milliseconds, until no call is under way. */
  drain(timeoutMs: number): Promise<void>;
}

import type { Command, HostStats, Ref } from "./protocol.ts";

export interface AskOptions {
  /** Milliseconds until the outcome counts as unknown (`docs/limits.md`). */
  timeoutMs?: number;
  receipt?: string | undefined;
}

/**
 * How commands reach actors, wherever these are: in this process (`pool.ts`), or over the bus at the node that has them
 * (`remote_actors.ts`). Callers use `actors/actors.ts`, which knows the commands of each kind.
 */
export interface ActorRouter extends AsyncDisposable {
  /** Asks an actor and waits until its reply, and every event it committed, is known on this node. Throws `AppError`. */
  ask(ref: Ref, command: Command, options?: AskOptions): Promise<unknown>;
  /** Resolves when they can be asked now; rejects where they cannot. */
  reach(): Promise<void>;
  /** Of the actors in this process. */
  stats(): Promise<HostStats[]>;
  /** Calls under way from here. */
  readonly waiting: number;
  /** Waits, at most so many milliseconds, until no call is under way. */
  drain(timeoutMs: number): Promise<void>;
}

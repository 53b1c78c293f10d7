import type { Command, HostStats, Ref } from "./protocol.ts";

export interface AskOptions {
  /** Milliseconds after which the outcome counts as unknown (`docs/limits.md`). */
  timeoutMs?: number;
  receipt?: string | undefined;
}

/**
 * Transports commands to actors: in this process (`pool.ts`) or over the bus to the node that has them
 * (`remote_actors.ts`). Callers use `actors/actors.ts`, which has the types.
 */
export interface ActorRouter extends AsyncDisposable {
  /**
   * Sends a command and waits until its reply and every event it committed are known on this node. Throws `AppError`.
   */
  ask(ref: Ref, command: Command, options?: AskOptions): Promise<unknown>;
  /** Resolves when the actors can be reached; rejects if they cannot. */
  reach(): Promise<void>;
  /** Counters of the actors in this process. */
  stats(): Promise<HostStats[]>;
  /** Calls in progress on this node. */
  readonly waiting: number;
  /** Waits until no call is in progress, or for this many milliseconds. */
  drain(timeoutMs: number): Promise<void>;
}

import type { Command, HostStats, Ref } from "./protocol.ts";

export interface AskOptions {
  /** Milliseconds after which the outcome counts as unknown (`docs/limits.md`). */
  timeoutMs?: number;
  receipt?: string | undefined;
  /** It has no effect, so it may be done twice. */
  isRead?: boolean;
}

/** The actors of this node. */
export interface LocalActors {
  /** Throws `Moved` if the actor is not on this node, and `AppError`. */
  ask(ref: Ref, command: Command, options?: AskOptions): Promise<unknown>;
}

/** Transports commands to actors, wherever they are. Callers use `actors/actors.ts`, which has the types. */
export interface ActorRouter {
  /**
   * Sends a command and waits until its reply and every event it committed are known on this node. Throws `AppError`.
   */
  ask(ref: Ref, command: Command, options?: AskOptions): Promise<unknown>;
  /** Resolves when every partition has an owner whose lease is in force; rejects otherwise. */
  reach(): Promise<void>;
  /** Counters of the actors in this process. */
  stats(): Promise<HostStats[]>;
  /** Calls in progress on this node. */
  readonly waiting: number;
  /** Waits until no call is in progress, or for this many milliseconds. */
  drain(timeoutMs: number): Promise<void>;
}

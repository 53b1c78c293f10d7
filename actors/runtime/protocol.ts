import type { SequencedEvent } from "../../db/event.ts";
import type { JobRef } from "../../db/jobs.ts";
import { AppError, type FieldError, type ProblemCode } from "../../lib/errors.ts";

export type KindName = "user" | "page" | "feed";

/** `user/<id>`, `page/<id>`, `feed/<user id>`. */
export interface Ref {
  kind: KindName;
  id: string;
}

/** What an actor is asked to do: a word and plain data, as JSON can say it. */
export interface Command {
  type: string;
}

/** A decided no. It costs nothing and nothing was stored. */
export interface Refusal {
  code: ProblemCode;
  detail?: string;
  errors?: FieldError[];
  retryAfter?: number;
}

export type Reply = { ok: true; value: unknown } | { ok: false; refusal: Refusal };

/** What was replied. Throws the refusal as an `AppError`. */
export function unwrapReply(reply: Reply): unknown {
  if (reply.ok) return reply.value;
  const { code, detail, errors, retryAfter } = reply.refusal;
  throw new AppError(code, detail, {
    ...(errors === undefined ? {} : { errors }),
    ...(retryAfter === undefined ? {} : { retryAfter }),
  });
}

/**
 * From the pool to a worker, as JSON: it is short, and a structured clone costs more. Batches, because a message costs more than
 * what it carries.
 */
export type ToWorker =
  | { type: "ask"; call: number; ref: Ref; command: Command; deadline: number; receipt?: string }
  | { type: "grant"; partition: number; epoch: number }
  | { type: "events"; events: SequencedEvent[] }
  | { type: "tell"; ref: Ref; command: Command }
  | { type: "inspect"; call: number };

/** From a worker to the pool, as structured clones: long texts in it would be escaped and read again. Order within a worker is the order of commits. */
export type FromWorker =
  | { type: "ready" }
  /** `seq`: the last event of the turn's statement, to be waited for; `jobs`: those it committed that are due now. */
  | { type: "reply"; call: number; reply: Reply; seq?: number; jobs?: readonly JobRef[] }
  /** What was just committed, in the order of its numbers, as Postgres wrote it; sent before the replies. */
  | { type: "committed"; events: string }
  /** What the main thread may remember of an actor; sent before the reply that made it so. */
  | { type: "snapshot"; ref: Ref; value: unknown }
  | { type: "fenced"; partition: number }
  | { type: "fault"; ref: Ref; error: string }
  | { type: "stats"; call: number; stats: HostStats };

/** Counters of one worker, for `/metrics`. */
export interface HostStats {
  /** Those it was granted. */
  partitions: number;
  activations: Record<KindName, number>;
  waiting: number;
  turns: number;
  commits: number;
  statements: number;
  fenced: number;
  faults: number;
  commitMs: number;
  mailboxMs: number;
}

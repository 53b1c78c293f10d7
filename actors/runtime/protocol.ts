import type { SequencedEvent } from "../../db/event.ts";
import type { JobRef } from "../../db/jobs.ts";
import type { Samples } from "../../lib/metrics/samples.ts";
import type { RequestContext } from "../../lib/request_context.ts";
import { AppError, type FieldError, type ProblemCode } from "../../lib/errors.ts";

export const KIND_NAMES = ["user", "page", "feed"] as const;
export type KindName = typeof KIND_NAMES[number];

/** Kinds that any node may have at the same time: they only read, and events keep them up to date. */
export const READ_MODELS: ReadonlySet<KindName> = new Set(["feed"]);

/** `user/<id>`, `page/<id>`, `feed/<user id>`. */
export interface Ref {
  kind: KindName;
  id: string;
}

/** A command to an actor: a name and plain data that JSON can represent. */
export interface Command {
  type: string;
}

/** A decided refusal. Nothing was stored. */
export interface Refusal {
  code: ProblemCode;
  detail?: string;
  errors?: FieldError[];
  retryAfter?: number;
}

/** What a command is called in traces. */
export function nameOf({ kind }: Ref, { type }: Command): string {
  return `${kind}.${type}`;
}

export type Reply =
  | { ok: true; value: unknown }
  | { ok: false; refusal: Refusal }
  /** The actor is not on this node, or not any more. The call had no effect, so it can be sent to the owner. */
  | { ok: false; moved: true };

/** Another node has the actor, or none has it yet. The call had no effect. */
export class Moved extends Error {
  override readonly name = "Moved";
}

/** The reply's value. Throws a refusal as an `AppError`, and `Moved`. */
export function unwrapReply(reply: Reply): unknown {
  if (reply.ok) return reply.value;
  if ("moved" in reply) throw new Moved();
  const { code, detail, errors, retryAfter } = reply.refusal;
  throw new AppError(code, detail, {
    ...(errors === undefined ? {} : { errors }),
    ...(retryAfter === undefined ? {} : { retryAfter }),
  });
}

/**
 * From the pool to a worker, as JSON, which is smaller and cheaper than a structured clone. Batched, because a message
 * costs more than its content.
 */
export type ToWorker =
  | {
    type: "ask";
    call: number;
    ref: Ref;
    command: Command;
    deadline: number;
    receipt?: string;
    origin?: RequestContext;
  }
  | { type: "grant"; partition: number; epoch: number }
  /** The node releases the partition. Waiting messages to its actors are answered as moved. */
  | { type: "revoke"; partition: number }
  | { type: "events"; events: SequencedEvent[] }
  | { type: "inspect"; call: number };

/**
 * From a worker to the pool, as structured clones, because long texts would be escaped and parsed again in JSON. The
 * order of messages within a worker is the order of commits.
 */
export type FromWorker =
  | { type: "ready" }
  /**
   * `seq`: the last event of the turn's statement, to wait for. `jobs`: committed jobs that are due now. `remembered`:
   * decided from memory, so it counts only while the node's lease holds.
   */
  | { type: "reply"; call: number; reply: Reply; seq?: number; jobs?: readonly JobRef[]; remembered?: true }
  /** Committed events in order, as written by Postgres. Sent before the replies. */
  | { type: "committed"; events: string }
  /** A commit under this epoch was fenced, or its outcome is unknown. */
  | { type: "outdated"; partition: number; epoch: number }
  /** `origin`: the request whose command failed, or the first of several. */
  | { type: "fault"; ref: Ref; error: string; origin?: RequestContext }
  | { type: "stats"; call: number; stats: HostStats };

/** Counters of one worker for `/metrics`. */
export interface HostStats {
  /** Number of its partitions. */
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
  /** Added by the thread: its own metrics, and the lag of its event loop. */
  samples?: Samples;
  lagMs?: number;
}

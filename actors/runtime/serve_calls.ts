import { AppError } from "../../lib/errors.ts";
import type { Log } from "../../lib/log.ts";
import { continued } from "../../lib/tracing.ts";
import type { Directory } from "./directory.ts";
import type { NodeAnswer, NodeCall } from "./node_calls.ts";
import { Moved, type Refusal, type Reply } from "./protocol.ts";
import { isObject, malformedField } from "./received_call.ts";
import type { LocalActors } from "./router.ts";

export interface CallServerOptions {
  /** This node. */
  id: string;
  actors: LocalActors;
  /** This node's event stream. */
  stream: { readonly position: number; readonly known: number; applied(seq: number): Promise<void> };
  directory: Pick<Directory, "databaseTime">;
  log: Log;
}

/** How long an answer is kept for the same call over the other transport. */
const KEPT_MS = 2_000;
/** How long after a call's deadline its id is remembered. Clocks are exact to a round trip. */
const MEMORY_MS = 2_000;
/** A later deadline is malformed: the call's id would be remembered for as long. A clock may have been set back. */
const MAX_LEFT_MS = 3_600_000;

/** A call that was received, by `performance.now()`. */
interface Entry {
  answer: Promise<NodeAnswer> | undefined;
  /** How long its id is remembered. */
  until: number;
  /** How long its answer is kept. */
  keptUntil: number;
}

/** Answers calls of other nodes. Each is executed once, even if it arrives several times or over both transports. */
export class CallServer implements Disposable {
  #answers = new Map<string, Entry>();
  #sweeper = setInterval(() => this.#sweep(), 500);

  constructor(private readonly options: CallServerOptions) {}

  /** Whether the call is for this node, and not for one that had its address before. */
  isFor(received: unknown): boolean {
    return isObject(received) && received["to"] === this.options.id;
  }

  /** Of what was received, as other nodes may have another version. A malformed call has no effect. */
  answer(received: unknown): Promise<NodeAnswer> {
    const { directory, stream } = this.options;
    const malformed = malformedField(received);
    if (malformed !== undefined) return Promise.resolve(this.#malformed(malformed));
    const call = received as NodeCall;
    const known = this.#answers.get(call.id);
    if (known) return known.answer ?? Promise.resolve(unknown(stream.position));
    const leftMs = call.deadline - directory.databaseTime;
    // Too late, for example after a network outage: the caller has given up.
    if (leftMs <= 0 || !this.isFor(call)) return Promise.resolve(unknown(stream.position));
    if (leftMs > MAX_LEFT_MS) return Promise.resolve(this.#malformed("deadline"));
    const now = performance.now();
    const entry: Entry = { answer: undefined, until: now + leftMs + MEMORY_MS, keptUntil: Infinity };
    this.#answers.set(call.id, entry);
    return entry.answer = continued(call.origin, () => this.#do(call, now + leftMs, entry));
  }

  [Symbol.dispose](): void {
    clearInterval(this.#sweeper);
    this.#answers.clear();
  }

  async #do({ ref, command, receipt, after }: NodeCall, deadline: number, entry: Entry): Promise<NodeAnswer> {
    const { actors, stream, log } = this.options;
    let reply: Reply;
    try {
      if (stream.position < after) await stream.applied(after);
      // The caller knows events that this node does not have yet, so an answer might be older than what it has seen.
      if (stream.position < after) {
        throw new AppError("overloaded", "The actors lag behind; try again", { retryAfter: 1 });
      }
      reply = { ok: true, value: await actors.ask(ref, command, { timeoutMs: deadline - performance.now(), receipt }) };
    } catch (error) {
      if (error instanceof Moved) reply = { ok: false, moved: true };
      else if (error instanceof AppError) reply = { ok: false, refusal: refusalOf(error) };
      else {
        log.error("call from another node failed", { ref, error });
        reply = { ok: false, refusal: { code: "internal" } };
      }
    }
    entry.keptUntil = performance.now() + KEPT_MS;
    return { reply, seq: stream.known };
  }

  #malformed(field: string): NodeAnswer {
    const { log, stream } = this.options;
    log.warnOften("malformed call from another node", { field });
    const refusal: Refusal = { code: "internal", detail: `The call from another node has a malformed field: ${field}` };
    return { reply: { ok: false, refusal }, seq: stream.position };
  }

  #sweep(): void {
    const now = performance.now();
    for (const [id, entry] of this.#answers) {
      if (entry.keptUntil <= now) entry.answer = undefined;
      if (entry.answer === undefined && entry.until <= now) this.#answers.delete(id);
    }
  }
}

function unknown(seq: number): NodeAnswer {
  return { reply: { ok: false, refusal: { code: "outcome-unknown", retryAfter: 1 } }, seq };
}

function refusalOf({ code, message, errors, retryAfter }: AppError): Refusal {
  return {
    code,
    detail: message,
    ...(errors === undefined ? {} : { errors }),
    ...(retryAfter === undefined ? {} : { retryAfter }),
  };
}

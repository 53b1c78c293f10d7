import { AppError } from "../../lib/errors.ts";
import type { ActorRouter, AskOptions } from "./router.ts";
import { type Bus, BusUnavailable, NoReply } from "../../lib/bus/bus.ts";
import { ASK_TIMEOUT_MS, MAX_CALLS } from "./pool.ts";
import type { RequestContext } from "../../lib/request_context.ts";
import { carried, inSpan, TRACING } from "../../lib/tracing.ts";
import { type Command, type HostStats, nameOf, type Ref, type Reply, unwrapReply } from "./protocol.ts";
import { assertCanonical } from "./ref.ts";
import { type CallOutcome, recordNodeCall, recordNodeCallRetry } from "./call_metrics.ts";
import { backoff } from "../../lib/backoff.ts";
import { sleep } from "../../lib/sleep.ts";

/** The subject of the node with the actors. Installations may share a bus. */
export function actorsSubject(history: string): string {
  return `rookery.actors.${history}`;
}

/** A request to the node with the actors. */
export type Question =
  | {
    type: "ask";
    ref: Ref;
    command: Command;
    receipt?: string;
    leftMs: number;
    /** The request that it is part of. */
    origin?: RequestContext | undefined;
    /** The last event known to the asking node. The answer must not be older. */
    after: number;
  }
  | { type: "reach" };

/** `seq`: the event that the answer includes; the asking node waits for it. */
export interface Answered {
  reply: Reply;
  seq: number;
}

/** The minimum time per attempt. Until less is left, unreachable actors are asked again (`docs/limits.md`). */
const MIN_ATTEMPT_MS = 5_000;
const RETRY_BACKOFF = backoff({ firstMs: 50, maxMs: 500 });
/** How long after the deadline the asking node gives up, so that the other node's error arrives first. */
const GRACE_MS = 1_000;
const REACH_MS = 1_000;

interface Options {
  bus: Bus;
  history: string;
  /** This node's event stream. */
  stream: { readonly position: number; applied(seq: number): Promise<void> };
}

/**
 * The actors of another node, asked over the bus. A request that certainly reached nobody is retried for a while, then
 * 503. One that may have been received is never sent twice: without an answer its outcome is unknown.
 */
export class RemoteActors implements ActorRouter {
  #underWay = 0;
  #closed = false;

  constructor(private readonly options: Options) {}

  async ask(ref: Ref, command: Command, options: AskOptions = {}): Promise<unknown> {
    if (!TRACING) return await this.#ask(ref, command, options);
    const name = `call ${nameOf(ref, command)}`;
    return await inSpan(name, { "rpc.system": "nats" }, () => this.#ask(ref, command, options), "client");
  }

  async #ask(ref: Ref, command: Command, { timeoutMs = ASK_TIMEOUT_MS, receipt }: AskOptions): Promise<unknown> {
    assertCanonical(ref);
    if (this.#closed) throw new AppError("draining", undefined, { retryAfter: 1 });
    if (this.#underWay >= MAX_CALLS) throw new AppError("overloaded", undefined, { retryAfter: 1 });
    const { stream } = this.options;
    const start = performance.now();
    const deadline = start + timeoutMs;
    let outcome: CallOutcome = "unreachable";
    this.#underWay++;
    try {
      const { reply, seq } = await this.#send(deadline, (leftMs) => ({
        type: "ask",
        ref,
        command,
        ...(receipt === undefined ? {} : { receipt }),
        leftMs,
        origin: carried(),
        after: stream.position,
      }));
      outcome = "answered";
      await stream.applied(seq);
      return unwrapReply(reply);
    } catch (error) {
      if (error instanceof AppError && error.code === "outcome-unknown" && outcome !== "answered") outcome = "unknown";
      throw error;
    } finally {
      recordNodeCall(outcome, start);
      this.#underWay--;
    }
  }

  async reach(): Promise<void> {
    await this.#request({ type: "reach" }, REACH_MS);
  }

  stats(): Promise<HostStats[]> {
    return Promise.resolve([]);
  }

  get waiting(): number {
    return this.#underWay;
  }

  async drain(timeoutMs: number): Promise<void> {
    const end = performance.now() + timeoutMs;
    while (this.#underWay > 0 && performance.now() < end) await sleep(20);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    await Promise.resolve();
  }

  async #send(deadline: number, question: (leftMs: number) => Question): Promise<Answered> {
    for (let failures = 1;; failures++) {
      const pause = RETRY_BACKOFF(failures);
      const leftMs = Math.round(deadline - performance.now());
      try {
        return await this.#request(question(leftMs), leftMs + GRACE_MS);
      } catch (error) {
        if (error instanceof NoReply) throw new AppError("outcome-unknown", undefined, { retryAfter: 1, cause: error });
        if (error instanceof RangeError) throw new AppError("body-too-large", undefined, { cause: error });
        if (!(error instanceof BusUnavailable)) throw error;
        if (this.#closed || leftMs - pause < MIN_ATTEMPT_MS) {
          throw new AppError("actors-unavailable", undefined, { retryAfter: 1, cause: error });
        }
      }
      recordNodeCallRetry();
      await sleep(pause);
    }
  }

  async #request(question: Question, timeoutMs: number): Promise<Answered> {
    const { bus, history } = this.options;
    return JSON.parse(await bus.request(actorsSubject(history), JSON.stringify(question), timeoutMs));
  }
}

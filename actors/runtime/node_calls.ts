import { type Bus, BusUnavailable, NoReply } from "../../lib/bus/bus.ts";
import type { RequestContext } from "../../lib/request_context.ts";
import { type CallOutcome, recordNodeCall } from "./call_metrics.ts";
import type { Directory, KnownNode } from "./directory.ts";
import type { Command, Ref, Reply } from "./protocol.ts";

/** A command for an actor of another node. */
export interface NodeCall {
  /** The same on every transport, so that the other node executes the call once. */
  id: string;
  /** The node that receives the call. */
  to: string;
  ref: Ref;
  command: Command;
  receipt?: string;
  /** The request that it is part of. */
  origin?: RequestContext | undefined;
  /** By the clock of the database, in Unix milliseconds. After it the call is not started. */
  deadline: number;
  /** The last event known to the asking node. The answer must not be older. */
  after: number;
}

/** `seq`: the event that the answer includes; the asking node waits for it. */
export interface NodeAnswer {
  reply: Reply;
  seq: number;
}

/** The subject of a node. Installations may share a bus. */
export function nodeSubject(history: string, node: string): string {
  return `rookery.node.${history}.${node}`;
}

/** The call certainly did not reach the node. */
export class Unreachable extends Error {
  override readonly name = "Unreachable";
}

/** Whether the call had an effect is unknown. */
export class OutcomeUnknown extends Error {
  override readonly name = "OutcomeUnknown";
}

/** Sends a call over HTTP. Rejects with `Unreachable` if the other node certainly did not receive it. */
export type HttpCaller = (url: string, call: NodeCall, timeoutMs: number) => Promise<NodeAnswer>;

/** Without an answer over the bus after this time, the call also goes over HTTP (`docs/limits.md`). */
const HEDGE_MS = 300;
/** Interval of looks at calls without an answer. */
const LOOK_MS = 50;
/** How long HTTP is tried first for a node, after the bus did not deliver. */
const AVOID_BUS_MS = 2_000;
/** How long the answer of a node that has left may take, when the news of its end was faster. */
const LAST_ANSWER_MS = 100;
/** How long after the deadline the asking node gives up, so that the other node's error arrives first. */
const GRACE_MS = 500;

interface Options {
  bus: Bus | undefined;
  http: HttpCaller;
  history: string;
  directory: Directory;
}

/** A call that has no answer yet. */
interface Pending {
  node: KnownNode;
  call: NodeCall;
  timeoutMs: number;
  begun: number;
  /** Transports on which an answer may still arrive. */
  ways: number;
  /** False while it has certainly not been received. */
  mayHaveArrived: boolean;
  isHedged: boolean;
  /** The node has no lease any more. */
  isLast: boolean;
  settle(outcome: CallOutcome, result: NodeAnswer | Error): void;
}

/**
 * Calls to other nodes: over the bus, and over HTTP where the bus does not deliver. A call carries one id over both, so
 * it is executed at most once. It ends at the latest when the other node's lease is over.
 */
export class NodeCalls implements Disposable {
  /** When the bus did not deliver to a node. */
  #silent = new Map<string, number>();
  #pending = new Set<Pending>();
  #watch: ReturnType<typeof setInterval> | undefined;
  readonly #endOfUpdates: () => void;

  constructor(private readonly options: Options) {
    this.#endOfUpdates = options.directory.onUpdate(() => this.#giveUpOnGone());
  }

  /** Rejects with `Unreachable`, `OutcomeUnknown`, or a `RangeError` for a call over `MAX_REQUEST_BYTES`. */
  send(node: KnownNode, call: NodeCall, timeoutMs: number): Promise<NodeAnswer> {
    const { bus } = this.options;
    const canBus = bus !== undefined && bus.connected && !this.#isSilent(node.id);
    if (!canBus && node.url === null && !bus) {
      return Promise.reject(new Unreachable(`Node ${node.id} has no address`));
    }
    return new Promise((resolve, reject) => {
      const pending: Pending = {
        node,
        call,
        timeoutMs,
        begun: performance.now(),
        ways: 0,
        mayHaveArrived: false,
        isHedged: false,
        isLast: false,
        settle: (outcome, result) => {
          if (!this.#pending.delete(pending)) return;
          recordNodeCall(outcome, pending.begun);
          if (result instanceof Error) reject(result);
          else resolve(result);
        },
      };
      this.#pending.add(pending);
      // One timer for all: a timer for each would cost as much as its message.
      this.#watch ??= setInterval(() => this.#look(), LOOK_MS);
      if (canBus || node.url === null) this.#overBus(pending);
      else this.#overHttp(pending);
    });
  }

  [Symbol.dispose](): void {
    clearInterval(this.#watch);
    this.#endOfUpdates();
  }

  #overBus(pending: Pending): void {
    const { bus, history } = this.options;
    const { node, call, timeoutMs } = pending;
    pending.ways++;
    bus!.request(nodeSubject(history, node.id), JSON.stringify(call), timeoutMs + GRACE_MS).then(
      (answer) => pending.settle("answered", JSON.parse(answer)),
      (error) => {
        const reached = !(error instanceof BusUnavailable);
        if (!reached) this.#hedge(pending);
        this.#failed(pending, reached, error instanceof NoReply ? new OutcomeUnknown(error.message) : error);
      },
    );
  }

  #overHttp(pending: Pending): void {
    const { node, call, timeoutMs } = pending;
    pending.ways++;
    this.options.http(node.url!, call, timeoutMs + GRACE_MS).then(
      (answer) => {
        // The call over the bus was abandoned, or is slower.
        if (this.#pending.has(pending)) this.#silent.set(node.id, performance.now());
        pending.settle("answered", answer);
      },
      (error) => this.#failed(pending, !(error instanceof Unreachable), error),
    );
  }

  /** Also over HTTP, if the node has an address. */
  #hedge(pending: Pending): void {
    if (pending.isHedged || pending.node.url === null || !this.#pending.has(pending)) return;
    pending.isHedged = true;
    this.#overHttp(pending);
  }

  /** A failure is final only when no other transport may still answer. */
  #failed(pending: Pending, reached: boolean, error: Error): void {
    pending.ways--;
    pending.mayHaveArrived ||= reached;
    if (pending.ways > 0) return;
    if (error instanceof RangeError) pending.settle("unreachable", error);
    else if (!pending.mayHaveArrived) pending.settle("unreachable", new Unreachable(error.message));
    else pending.settle("unknown", new OutcomeUnknown(error.message, { cause: error }));
  }

  /** Also sends calls over HTTP that the bus did not answer soon, oldest first. */
  #look(): void {
    if (this.#pending.size === 0) {
      clearInterval(this.#watch);
      this.#watch = undefined;
    }
    const since = performance.now() - HEDGE_MS;
    for (const pending of this.#pending) {
      if (pending.begun > since) return;
      this.#hedge(pending);
    }
  }

  /** A node without a lease sends no more answers. What a stopping node sent before may still be on its way. */
  #giveUpOnGone(): void {
    const { directory } = this.options;
    for (const id of this.#silent.keys()) if (!directory.isLive(id)) this.#silent.delete(id);
    for (const pending of this.#pending) {
      const { id } = pending.node;
      if (directory.isLive(id) || pending.isLast) continue;
      pending.isLast = true;
      const error = new OutcomeUnknown(`Node ${id} has no lease any more`);
      setTimeout(() => pending.settle("unknown", error), LAST_ANSWER_MS);
    }
  }

  #isSilent(node: string): boolean {
    const at = this.#silent.get(node);
    if (at === undefined) return false;
    if (performance.now() - at < AVOID_BUS_MS) return true;
    this.#silent.delete(node);
    return false;
  }
}

import { setImmediate } from "node:timers";
import type { JobRef } from "../../db/jobs.ts";
import { AppError } from "../../lib/errors.ts";
import type { Log } from "../../lib/log.ts";
import type { ActorRouter, AskOptions } from "./router.ts";
import type { PartitionLeases } from "./partition_leases.ts";
import { partitionOf, PARTITIONS } from "../../db/partitions.ts";
import {
  type Command,
  type FromWorker,
  type HostStats,
  nameOf,
  type Ref,
  type Reply,
  type ToWorker,
  unwrapReply,
} from "./protocol.ts";
import type { SequencedEvent } from "../../db/event.ts";
import { assertCanonical } from "./ref.ts";
import { backoff } from "../../lib/backoff.ts";
import { counter } from "../../lib/metrics/registry.ts";
import { sleep } from "../../lib/sleep.ts";
import { withRequest } from "../../lib/request_context.ts";
import { carried, inSpan, TRACING } from "../../lib/tracing.ts";

/** A thread that hosts actors. The pool sends it batches of messages. */
export interface HostThread {
  post(messages: ToWorker[]): void;
  onMessages(listener: (messages: FromWorker[]) => void): void;
  onDeath(listener: (reason: string) => void): void;
  terminate(): void;
}

export interface PoolOptions {
  threads: number;
  start: () => Promise<HostThread>;
  leases: PartitionLeases;
  log: Log;
  /** Events committed by a turn on this node. */
  onCommitted: (events: SequencedEvent[]) => void;
  /** Resolves when this node's caches have all events up to this one. */
  applied: (seq: number) => Promise<void>;
  onSnapshot: (ref: Ref, value: unknown) => void;
  onJobs: (jobs: readonly JobRef[]) => void;
  /** Cached snapshots of these partitions' actors are invalid. */
  onPartitionsMoved: (partitions: readonly number[]) => void;
  /** Another node has taken a partition. */
  onFenced: (partition: number) => void;
}

interface Call {
  slot: Slot;
  deadline: number;
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

interface Slot {
  partitions: number[];
  thread: HostThread | undefined;
  outgoing: ToWorker[];
  scheduled: boolean;
  failures: number;
}

const RESTARTS = counter("actor_worker_restarts_total", "Worker threads that were replaced after a crash");

export const ASK_TIMEOUT_MS = 10_000;
/** Calls in progress over all workers. Beyond this calls are rejected at once. */
export const MAX_CALLS = 20_000;
/** The first failure of a worker is followed by an immediate restart. */
const RESTART_BACKOFF = backoff({ firstMs: 400, maxMs: 10_000 });

/**
 * The router of a node: partition → worker. It replaces a worker that died under new epochs, so that the old one's
 * pending writes fail and its callers get an error.
 */
export class Pool implements ActorRouter {
  #slots: Slot[] = [];
  #slotOf: Slot[] = [];
  #calls = new Map<number, Call>();
  #inspections = new Map<number, (stats: HostStats) => void>();
  #nextCall = 1;
  #sweeper: ReturnType<typeof setInterval> | undefined;
  #closed = false;

  private constructor(private readonly options: PoolOptions) {}

  static async start(options: PoolOptions): Promise<Pool> {
    const pool = new Pool(options);
    for (let i = 0; i < options.threads; i++) {
      const partitions = Array.from({ length: PARTITIONS }, (_, p) => p).filter((p) => p % options.threads === i);
      const slot: Slot = { partitions, thread: undefined, outgoing: [], scheduled: false, failures: 0 };
      pool.#slots.push(slot);
      for (const partition of partitions) pool.#slotOf[partition] = slot;
    }
    await Promise.all(pool.#slots.map((slot) => pool.#open(slot)));
    pool.#sweeper = setInterval(() => pool.#expire(), 250);
    return pool;
  }

  async ask(ref: Ref, command: Command, options: AskOptions = {}): Promise<unknown> {
    if (!TRACING) return await this.#ask(ref, command, options);
    return await inSpan(`call ${nameOf(ref, command)}`, {}, () => this.#ask(ref, command, options));
  }

  async #ask(ref: Ref, command: Command, { timeoutMs = ASK_TIMEOUT_MS, receipt }: AskOptions): Promise<unknown> {
    if (this.#closed) throw new AppError("draining", undefined, { retryAfter: 1 });
    if (this.#calls.size >= MAX_CALLS) throw new AppError("overloaded", undefined, { retryAfter: 1 });
    const slot = this.#slotFor(ref);
    if (!slot.thread) throw new AppError("overloaded", "A worker is restarting; try again", { retryAfter: 1 });
    const call = this.#nextCall++;
    const deadline = Date.now() + timeoutMs;
    return await new Promise((resolve, reject) => {
      this.#calls.set(call, { slot, deadline, resolve, reject });
      const origin = carried();
      this.#post(slot, {
        type: "ask",
        call,
        ref,
        command,
        deadline,
        ...(receipt === undefined ? {} : { receipt }),
        ...(origin === undefined ? {} : { origin }),
      });
    });
  }

  /** Reaches active actors only, and before any later ask of the same actor. */
  tell(ref: Ref, command: Command): void {
    this.#post(this.#slotFor(ref), { type: "tell", ref, command });
  }

  /** Sends committed events to every worker. A later ask finds them applied. */
  events(events: SequencedEvent[]): void {
    for (const slot of this.#slots) this.#post(slot, { type: "events", events });
  }

  /** The actors are in this process. */
  async reach(): Promise<void> {}

  async stats(): Promise<HostStats[]> {
    return await Promise.all(
      this.#slots.filter((slot) => slot.thread).map((slot) =>
        new Promise<HostStats>((resolve) => {
          const call = this.#nextCall++;
          this.#inspections.set(call, resolve);
          this.#post(slot, { type: "inspect", call });
        })
      ),
    );
  }

  get waiting(): number {
    return this.#calls.size;
  }

  async drain(timeoutMs: number): Promise<void> {
    const end = Date.now() + timeoutMs;
    while (this.#calls.size > 0 && Date.now() < end) await sleep(20);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    clearInterval(this.#sweeper);
    for (const slot of this.#slots) slot.thread?.terminate();
    for (const call of this.#calls.values()) call.reject(new AppError("draining", undefined, { retryAfter: 1 }));
    this.#calls.clear();
    await Promise.resolve();
  }

  #slotFor(ref: Ref): Slot {
    assertCanonical(ref);
    return this.#slotOf[partitionOf(ref.id)]!;
  }

  async #open(slot: Slot): Promise<void> {
    const thread = await this.options.start();
    if (this.#closed) return thread.terminate();
    const grants = await this.options.leases.acquire(slot.partitions);
    thread.onMessages((messages) => {
      for (const message of messages) this.#receive(slot, message);
    });
    thread.onDeath((reason) => this.#replace(slot, thread, reason));
    slot.outgoing = grants.map(({ partition, epoch }) => ({ type: "grant", partition, epoch }));
    slot.scheduled = false;
    slot.thread = thread;
    this.#flush(slot);
  }

  #replace(slot: Slot, thread: HostThread, reason: string): void {
    if (this.#closed || slot.thread !== thread) return;
    slot.thread = undefined;
    slot.outgoing = [];
    slot.failures++;
    RESTARTS.inc();
    this.options.log.error("worker died, restarting it", { reason, failures: slot.failures });
    this.options.onPartitionsMoved(slot.partitions);
    for (const [id, call] of this.#calls) {
      if (call.slot !== slot) continue;
      this.#calls.delete(id);
      call.reject(
        new AppError(
          "outcome-unknown",
          "The outcome is unknown, as a worker crashed; repeat with the same Idempotency-Key",
          { retryAfter: 1 },
        ),
      );
    }
    const pause = slot.failures === 1 ? 0 : RESTART_BACKOFF(slot.failures - 1);
    const open = () =>
      this.#open(slot).catch((error) => {
        if (this.#closed) return;
        this.options.log.error("restarting a worker failed, retrying", { error });
        setTimeout(open, 1_000);
      });
    setTimeout(open, pause);
  }

  #post(slot: Slot, message: ToWorker): void {
    if (!slot.thread) return;
    slot.outgoing.push(message);
    if (slot.scheduled) return;
    slot.scheduled = true;
    setImmediate(() => this.#flush(slot));
  }

  #flush(slot: Slot): void {
    slot.scheduled = false;
    if (slot.outgoing.length === 0 || !slot.thread) return;
    slot.thread.post(slot.outgoing);
    slot.outgoing = [];
  }

  #receive(slot: Slot, message: FromWorker): void {
    switch (message.type) {
      case "reply":
        return this.#reply(message);
      case "committed":
        return this.options.onCommitted(JSON.parse(message.events));
      case "snapshot":
        return this.options.onSnapshot(message.ref, message.value);
      case "stats":
        this.#inspections.get(message.call)?.(message.stats);
        this.#inspections.delete(message.call);
        return;
      case "fault":
        return withRequest(
          message.origin,
          () => this.options.log.error("actor failed", { ref: message.ref, error: message.error }),
        );
      case "fenced":
        return this.options.onFenced(message.partition);
      case "ready":
        slot.failures = 0;
    }
  }

  #reply({ call: id, reply, seq, jobs }: Extract<FromWorker, { type: "reply" }>): void {
    const call = this.#calls.get(id);
    if (jobs) this.options.onJobs(jobs);
    if (!call) return;
    if (seq === undefined) {
      this.#calls.delete(id);
      return onReply(call, reply);
    }
    void this.options.applied(seq).then(() => {
      if (this.#calls.delete(id)) onReply(call, reply);
    });
  }

  /** Nearly all calls have the same time limit, so the oldest come first. A full scan is cheap at this interval. */
  #expire(): void {
    const now = Date.now();
    for (const [id, call] of this.#calls) {
      if (call.deadline + 500 > now) continue;
      this.#calls.delete(id);
      call.reject(new AppError("outcome-unknown", undefined, { retryAfter: 1 }));
    }
  }
}

function onReply(call: Call, reply: Reply): void {
  try {
    call.resolve(unwrapReply(reply));
  } catch (error) {
    call.reject(error);
  }
}

import { setImmediate } from "node:timers";
import type { JobRef } from "../../db/jobs.ts";
import { AppError } from "../../lib/errors.ts";
import type { Log } from "../../lib/log.ts";
import type { AskOptions, LocalActors } from "./router.ts";
import { type Grant, partitionOf, PARTITIONS } from "../../db/partitions.ts";
import {
  type Command,
  type FromWorker,
  type HostStats,
  Moved,
  nameOf,
  READ_MODELS,
  type Ref,
  type Reply,
  type ToWorker,
  unwrapReply,
} from "./protocol.ts";
import type { SequencedEvent } from "../../db/event.ts";
import { assertCanonical } from "./ref.ts";
import { backoff } from "../../lib/backoff.ts";
import { counter } from "../../lib/metrics/registry.ts";
import { sleep, within } from "../../lib/sleep.ts";
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
  /** This node's lease. Replies from memory count only while it holds. */
  lease: { readonly holds: boolean };
  log: Log;
  /** Events committed by a turn on this node. */
  onCommitted: (events: SequencedEvent[]) => void;
  /** Resolves when this node's caches have all events up to this one. */
  applied: (seq: number) => Promise<void>;
  onJobs: (jobs: readonly JobRef[]) => void;
  /** What this node knows of a partition may be out of date, as a commit was fenced or its outcome is unknown. */
  onOutdated: (partition: number) => void;
  /** Runs the work soon. Messages until then share one post; `setImmediate` by default. */
  schedule?: (work: () => void) => void;
  /** A worker was replaced: its partitions need new epochs, so that the old one's pending writes fail. */
  onReplaced: () => void;
}

interface Call {
  slot: Slot;
  /** Undefined for a read model. */
  partition: number | undefined;
  /** Of the partition when the call was sent. */
  epoch: number | undefined;
  deadline: number;
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

interface Slot {
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
 * The actors of this node: those of the partitions it was granted, and any read model. Each partition belongs to one
 * worker. A worker that died is replaced, and its callers get an error.
 */
export class Pool implements LocalActors, AsyncDisposable {
  #slots: Slot[] = [];
  #calls = new Map<number, Call>();
  #inspections = new Map<number, (stats: HostStats) => void>();
  #nextCall = 1;
  /** The partitions of this node. */
  #epochs = new Map<number, number>();
  /** Those of them that take no more calls. */
  #releasing = new Set<number>();
  /** Calls in progress, by partition. */
  #inProgress = new Int32Array(PARTITIONS);
  /** Called when a partition that is being released has no more calls. */
  #onIdle: (() => void) | undefined;
  #sweeper: ReturnType<typeof setInterval> | undefined;
  #closed = false;

  private constructor(private readonly options: PoolOptions) {}

  /** Resolves when all workers are connected. They have no partitions yet. */
  static async start(options: PoolOptions): Promise<Pool> {
    const pool = new Pool(options);
    for (let i = 0; i < options.threads; i++) {
      pool.#slots.push({ thread: undefined, outgoing: [], scheduled: false, failures: 0 });
    }
    await Promise.all(pool.#slots.map((slot) => pool.#open(slot)));
    pool.#sweeper = setInterval(() => pool.#expire(), 250);
    return pool;
  }

  /** The partitions of this node, with their epochs. */
  get grants(): Grant[] {
    return [...this.#epochs].map(([partition, epoch]) => ({ partition, epoch }));
  }

  /** Whether calls to actors of this partition can be made here. */
  accepts(partition: number): boolean {
    return this.#epochs.has(partition) && !this.#releasing.has(partition);
  }

  /** False while the worker of the partition is being replaced. */
  canHost(partition: number): boolean {
    return this.#slotOf(partition).thread !== undefined;
  }

  /** False while a worker is being replaced. */
  get isWhole(): boolean {
    return this.#slots.every(({ thread }) => thread !== undefined);
  }

  /** This node has taken partitions. Their actors load their state again. */
  grant(grants: readonly Grant[]): void {
    for (const { partition, epoch } of grants) {
      const slot = this.#slotOf(partition);
      // A worker that died meanwhile gets its partitions when it is replaced.
      if (!slot.thread) continue;
      this.#epochs.set(partition, epoch);
      this.#releasing.delete(partition);
      this.#post(slot, { type: "grant", partition, epoch });
    }
  }

  /** Takes no more calls for these partitions, and resolves when they have none in progress, or after `timeoutMs`. */
  async finish(partitions: readonly number[], timeoutMs: number): Promise<void> {
    for (const partition of partitions) this.#releasing.add(partition);
    const end = performance.now() + timeoutMs;
    while (partitions.some((partition) => this.#inProgress[partition]! > 0)) {
      const leftMs = end - performance.now();
      if (leftMs <= 0 || this.#closed) return;
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#onIdle = resolve;
      await within(leftMs, promise);
    }
  }

  /** This node has lost these partitions. Calls that have not started are answered with `Moved`. */
  revoke(partitions: Iterable<number>): void {
    for (const partition of partitions) {
      if (!this.#epochs.delete(partition)) continue;
      this.#releasing.delete(partition);
      this.#post(this.#slotOf(partition), { type: "revoke", partition });
    }
  }

  /** Throws `Moved` if the actor is not on this node. */
  ask(ref: Ref, command: Command, options: AskOptions = {}): Promise<unknown> {
    if (!TRACING) return this.#ask(ref, command, options);
    return inSpan(`call ${nameOf(ref, command)}`, {}, () => this.#ask(ref, command, options));
  }

  async #ask(ref: Ref, command: Command, { timeoutMs = ASK_TIMEOUT_MS, receipt }: AskOptions): Promise<unknown> {
    assertCanonical(ref);
    if (this.#closed) throw new AppError("draining", undefined, { retryAfter: 1 });
    if (this.#calls.size >= MAX_CALLS) throw new AppError("overloaded", undefined, { retryAfter: 1 });
    const hash = partitionOf(ref.id);
    const partition = READ_MODELS.has(ref.kind) ? undefined : hash;
    if (partition !== undefined && !this.accepts(partition)) throw new Moved();
    const slot = this.#slotOf(hash);
    if (!slot.thread) throw new AppError("overloaded", "A worker is restarting; try again", { retryAfter: 1 });
    const call = this.#nextCall++;
    const deadline = Date.now() + timeoutMs;
    const epoch = partition === undefined ? undefined : this.#epochs.get(partition);
    if (partition !== undefined) this.#inProgress[partition]!++;
    return await new Promise((resolve, reject) => {
      this.#calls.set(call, { slot, partition, epoch, deadline, resolve, reject });
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

  /** Sends committed events to every worker. A later ask finds them applied. */
  events(events: SequencedEvent[]): void {
    for (const slot of this.#slots) this.#post(slot, { type: "events", events });
  }

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
    for (const id of [...this.#calls.keys()]) {
      this.#end(id)!.reject(new AppError("draining", undefined, { retryAfter: 1 }));
    }
    await Promise.resolve();
  }

  #slotOf(partition: number): Slot {
    return this.#slots[partition % this.#slots.length]!;
  }

  async #open(slot: Slot): Promise<void> {
    const thread = await this.options.start();
    if (this.#closed) return thread.terminate();
    const isReplacement = slot.failures > 0;
    thread.onMessages((messages) => {
      for (const message of messages) this.#receive(slot, message);
    });
    thread.onDeath((reason) => this.#replace(slot, thread, reason));
    slot.outgoing = [];
    slot.scheduled = false;
    slot.thread = thread;
    if (isReplacement) this.options.onReplaced();
  }

  #replace(slot: Slot, thread: HostThread, reason: string): void {
    if (this.#closed || slot.thread !== thread) return;
    slot.thread = undefined;
    slot.outgoing = [];
    slot.failures++;
    RESTARTS.inc();
    this.options.log.error("worker died, restarting it", { reason, failures: slot.failures });
    for (const partition of this.#epochs.keys()) {
      if (this.#slotOf(partition) === slot) this.#epochs.delete(partition);
    }
    for (const [id, call] of this.#calls) {
      if (call.slot !== slot) continue;
      this.#end(id)!.reject(
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
    (this.options.schedule ?? setImmediate)(() => this.#flush(slot));
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
      case "stats":
        this.#inspections.get(message.call)?.(message.stats);
        this.#inspections.delete(message.call);
        return;
      case "fault":
        return withRequest(
          message.origin,
          () => this.options.log.error("actor failed", { ref: message.ref, error: message.error }),
        );
      case "outdated":
        // One under a former epoch says nothing about the present one.
        if (this.#epochs.get(message.partition) === message.epoch) this.options.onOutdated(message.partition);
        return;
      case "ready":
        slot.failures = 0;
    }
  }

  #reply({ call: id, reply, seq, jobs, remembered }: Extract<FromWorker, { type: "reply" }>): void {
    const call = this.#calls.get(id);
    if (jobs) this.options.onJobs(jobs);
    if (!call) return;
    if (seq === undefined) {
      this.#end(id);
      return onReply(call, remembered && !this.#isCurrent(call) ? { ok: false, moved: true } : reply);
    }
    void this.options.applied(seq).then(() => {
      if (this.#end(id)) onReply(call, reply);
    });
  }

  /** Whether no other node can have had the partition since the call was sent. */
  #isCurrent({ partition, epoch }: Call): boolean {
    return partition === undefined || (this.options.lease.holds && this.#epochs.get(partition) === epoch);
  }

  #end(id: number): Call | undefined {
    const call = this.#calls.get(id);
    if (!call) return undefined;
    this.#calls.delete(id);
    const { partition } = call;
    if (partition !== undefined && --this.#inProgress[partition]! === 0 && this.#releasing.has(partition)) {
      this.#onIdle?.();
    }
    return call;
  }

  /** Nearly all calls have the same time limit, so the oldest come first. A full scan is cheap at this interval. */
  #expire(): void {
    const now = Date.now();
    for (const [id, call] of this.#calls) {
      if (call.deadline + 500 > now) continue;
      this.#end(id)!.reject(new AppError("outcome-unknown", undefined, { retryAfter: 1 }));
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

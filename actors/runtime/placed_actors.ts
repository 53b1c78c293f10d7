import { AppError } from "../../lib/errors.ts";
import { backoff } from "../../lib/backoff.ts";
import { newId } from "../../lib/ids.ts";
import { sleep } from "../../lib/sleep.ts";
import { carried, inSpan, TRACING } from "../../lib/tracing.ts";
import { recordNodeCallRetry, type RetryReason } from "./call_metrics.ts";
import { partitionOf, PARTITIONS } from "../../db/partitions.ts";
import type { Directory, KnownNode } from "./directory.ts";
import { type NodeCall, type NodeCalls, OutcomeUnknown, Unreachable } from "./node_calls.ts";
import type { Placement } from "./placement.ts";
import { ASK_TIMEOUT_MS, MAX_CALLS, type Pool } from "./pool.ts";
import { type Command, type HostStats, Moved, nameOf, READ_MODELS, type Ref, unwrapReply } from "./protocol.ts";
import { assertCanonical } from "./ref.ts";
import type { ActorRouter, AskOptions, LocalActors } from "./router.ts";

/** The minimum time per attempt. Until less is left, a call waits for an owner of its partition (`docs/limits.md`). */
const MIN_ATTEMPT_MS = 5_000;
/** How long a call waits for this node's own lease. */
const LEASE_WAIT_MS = 1_000;
const RETRY_BACKOFF = backoff({ firstMs: 10, maxMs: 200 });

interface Options {
  /** This node. */
  id: string;
  pool: Pick<Pool, "accepts" | "stats">;
  /** The actors of this node. */
  local: LocalActors;
  directory: Directory;
  placement: Pick<Placement, "refresh" | "isLeaving">;
  calls: NodeCalls;
  lease: { readonly holds: boolean };
  /** This node's event stream. */
  stream: { readonly known: number; applied(seq: number): Promise<void> };
}

/**
 * The actors of all nodes. A call goes to the node that has the actor's partition. If that certainly did nothing, as
 * the partition has moved or the node cannot be reached, the call is sent again after a look at the directory. One that
 * may have been received is never repeated under another id: its outcome is unknown.
 */
export class PlacedActors implements ActorRouter {
  #underWay = 0;
  #closed = false;

  constructor(private readonly options: Options) {}

  async ask(ref: Ref, command: Command, options: AskOptions = {}): Promise<unknown> {
    if (this.#closed) throw new AppError("draining", undefined, { retryAfter: 1 });
    if (this.#underWay >= MAX_CALLS) throw new AppError("overloaded", undefined, { retryAfter: 1 });
    this.#underWay++;
    try {
      if (READ_MODELS.has(ref.kind)) return await this.options.local.ask(ref, command, options);
      return await this.#askOwner(ref, command, options);
    } finally {
      this.#underWay--;
    }
  }

  async reach(): Promise<void> {
    const { directory } = this.options;
    for (let partition = 0; partition < PARTITIONS; partition++) {
      if (!directory.ownerOf(partition)) throw new Error(`Partition ${partition} has no owner`);
    }
    await Promise.resolve();
  }

  stats(): Promise<HostStats[]> {
    return this.options.pool.stats();
  }

  get waiting(): number {
    return this.#underWay;
  }

  async drain(timeoutMs: number): Promise<void> {
    const end = performance.now() + timeoutMs;
    while (this.#underWay > 0 && performance.now() < end) await sleep(20);
    this.#closed = true;
  }

  async #askOwner(
    ref: Ref,
    command: Command,
    { timeoutMs: withinMs = ASK_TIMEOUT_MS, receipt, isRead = false }: AskOptions,
  ): Promise<unknown> {
    const { id, pool, local, directory, placement, lease } = this.options;
    assertCanonical(ref);
    const partition = partitionOf(ref.id);
    const begun = performance.now();
    const deadline = begun + withinMs;
    for (let failures = 0;;) {
      const timeoutMs = deadline - performance.now();
      try {
        if (pool.accepts(partition)) return await local.ask(ref, command, { timeoutMs, receipt });
        const owner = directory.ownerOf(partition);
        if (owner && owner.id !== id) return await this.#remote(owner, ref, command, timeoutMs, receipt);
      } catch (error) {
        const reason = reasonToRepeat(error, isRead);
        if (!reason) throw error;
        recordNodeCallRetry(reason);
      }
      const pause = RETRY_BACKOFF(++failures);
      const leftMs = deadline - performance.now() - pause;
      if (!lease.holds && performance.now() - begun > LEASE_WAIT_MS) {
        throw new AppError("overloaded", "This node has no lease now; try again", { retryAfter: 1 });
      }
      // Nobody takes over from the last node, so a call would only delay its stop.
      if (placement.isLeaving && directory.owners.every((owner) => owner.id === id)) {
        throw new AppError("draining", undefined, { retryAfter: 1 });
      }
      if (this.#closed || leftMs < MIN_ATTEMPT_MS) {
        throw new AppError("actors-unavailable", undefined, { retryAfter: 1 });
      }
      void placement.refresh();
      await directory.updated(pause);
    }
  }

  #remote(
    owner: KnownNode,
    ref: Ref,
    command: Command,
    timeoutMs: number,
    receipt: string | undefined,
  ): Promise<unknown> {
    const send = () => this.#send(owner, ref, command, timeoutMs, receipt);
    if (!TRACING) return send();
    return inSpan(`call ${nameOf(ref, command)}`, { "rpc.system": "rookery" }, send, "client");
  }

  async #send(
    owner: KnownNode,
    ref: Ref,
    command: Command,
    timeoutMs: number,
    receipt: string | undefined,
  ): Promise<unknown> {
    const { calls, directory, stream } = this.options;
    const call: NodeCall = {
      id: newId(),
      to: owner.id,
      ref,
      command,
      ...(receipt === undefined ? {} : { receipt }),
      origin: carried(),
      deadline: directory.databaseTime + timeoutMs,
      after: stream.known,
    };
    try {
      const { reply, seq } = await calls.send(owner, call, timeoutMs);
      if (!("moved" in reply)) await stream.applied(seq);
      return unwrapReply(reply);
    } catch (error) {
      if (error instanceof OutcomeUnknown) {
        throw new AppError("outcome-unknown", undefined, { retryAfter: 1, cause: error });
      }
      if (error instanceof RangeError) throw new AppError("body-too-large", undefined, { cause: error });
      throw error;
    }
  }
}

/** Undefined if the command may have had its effect, or was refused. */
function reasonToRepeat(error: unknown, isRead: boolean): RetryReason | undefined {
  if (error instanceof Moved) return "moved";
  if (error instanceof Unreachable) return "unreachable";
  // The node that was asked died, for example.
  if (isRead && error instanceof AppError && error.code === "outcome-unknown") return "unknown";
}

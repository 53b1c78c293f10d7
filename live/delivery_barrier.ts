import type { Bus } from "../lib/bus/bus.ts";
import { nextAcknowledgement, nodesToAcknowledge } from "../db/nodes.ts";
import type { Reader, Sql } from "../db/sql.ts";
import { MARGIN_MS } from "../actors/runtime/node_lease.ts";
import type { Membership } from "./membership.ts";
import { backoff } from "../lib/backoff.ts";
import { sleep } from "../lib/sleep.ts";

/** All listeners. With one node this is its gateway, with several `SharedDeliveryBarrier`. */
export interface DeliveryBarrier {
  /**
   * Resolves when no node answers a request and no open socket receives anything more that a change committed before
   * this call forbids.
   */
  wait(): Promise<void>;
}

/** The subject on which nodes ask each other for an acknowledgement. */
export function acknowledgementSubject(history: string): string {
  return `rookery.tell.${history}`;
}

/** Backoff between checks for acknowledgements of other nodes. */
const LOOK_BACKOFF = backoff({ firstMs: 5, maxMs: 100 });
const NO_NODE = "00000000-0000-0000-0000-000000000000";

interface Options {
  sql: Sql;
  bus: Bus;
  history: string;
  /** This node's membership. */
  membership: Membership;
}

/**
 * The listeners of all nodes. Each live node records its acknowledgement in Postgres; a bus message makes it do so at
 * once. A node that does not answer is waited for until its lease ends, because after that it sends nothing.
 */
export class SharedDeliveryBarrier implements DeliveryBarrier {
  constructor(private readonly options: Options) {}

  async wait(): Promise<void> {
    const { sql, bus, history, membership } = this.options;
    const mark = await nextAcknowledgement(sql);
    // A node that misses the message checks within a second.
    void bus.publish(acknowledgementSubject(history), String(mark)).catch(() => {});
    await Promise.all([membership.acknowledge(mark), acknowledged(sql, mark, membership.id)]);
  }
}

/** Resolves when every node but this one has acknowledged the mark, or its lease is over. */
export async function acknowledged(sql: Reader, mark: number, id = NO_NODE): Promise<void> {
  for (let looks = 1;; looks++) {
    if ((await nodesToAcknowledge(sql, { id, mark, marginMs: MARGIN_MS })).length === 0) return;
    await sleep(LOOK_BACKOFF(looks));
  }
}

import type { Bus } from "../lib/bus/bus.ts";
import { nextAcknowledgement, nodesToAcknowledge } from "../db/nodes.ts";
import type { Sql } from "../db/sql.ts";
import { MARGIN_MS } from "./send_lease.ts";
import type { Membership } from "./membership.ts";
import { backoff } from "../lib/backoff.ts";
import { sleep } from "../lib/sleep.ts";

/** Everybody who listens, wherever: on this node alone it is the gateway, on several `SharedDeliveryBarrier`. */
export interface DeliveryBarrier {
  /** Resolves when no open socket is shown anything more that was forbidden by what was committed until now. */
  wait(): Promise<void>;
}

/** Where nodes ask each other to look at once. */
export function acknowledgementSubject(history: string): string {
  return `rookery.tell.${history}`;
}

/** Between looks whether the other nodes have told. */
const LOOK_BACKOFF = backoff({ firstMs: 5, maxMs: 100 });
const NO_NODE = "00000000-0000-0000-0000-000000000000";

interface Options {
  sql: Sql;
  bus: Bus;
  history: string;
  /** This node among the others. */
  membership: Membership;
}

/**
 * The listeners of all nodes. Those that live say by themselves in Postgres that they have told; the bus only makes them look at once. One
 * that says nothing is waited for until its lease is over: from then on it sends nothing any more.
 */
export class SharedDeliveryBarrier implements DeliveryBarrier {
  constructor(private readonly options: Options) {}

  async wait(): Promise<void> {
    const { sql, bus, history, membership } = this.options;
    const mark = await nextAcknowledgement(sql);
    // Who misses it looks within a second.
    void bus.publish(acknowledgementSubject(history), String(mark)).catch(() => {});
    await Promise.all([membership.acknowledge(mark), acknowledged(sql, mark, membership.id)]);
  }
}

/** Resolves when every node but this one has acknowledged the mark, or its lease is over. */
export async function acknowledged(sql: Sql, mark: number, id = NO_NODE): Promise<void> {
  for (let looks = 1;; looks++) {
    if ((await nodesToAcknowledge(sql, { id, mark, marginMs: MARGIN_MS })).length === 0) return;
    await sleep(LOOK_BACKOFF(looks));
  }
}

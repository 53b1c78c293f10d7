import { type DirectoryRow, lastAcknowledgement, leave, renewLease } from "../db/nodes.ts";
import type { Sql } from "../db/sql.ts";
import type { Log } from "../lib/log.ts";
import type { EventStream } from "./event_stream.ts";
import type { Gateway } from "./gateway.ts";
import { LEASE_MS, type NodeLease, RENEW_MS } from "../actors/runtime/node_lease.ts";

/** After this time without an acknowledgement the node gives up its lease, and with it its sockets. */
const ACKNOWLEDGE_WITHIN_MS = 4_000;
/** Interval of account checks for all open sockets, in case a message was lost. */
const ACCOUNTS_MS = 3_000;

interface Options {
  /** The node's id, for as long as its process lives. */
  id: string;
  /** Where other nodes reach its HTTP server, if that is known by now. */
  url: () => string | null;
  /** Whether it takes partitions now. */
  actors: () => boolean;
  sql: Sql;
  stream: EventStream;
  gateway: Gateway;
  lease: NodeLease;
  log: Log;
  /** The node had no lease for a while and is about to get one. */
  onLapse: () => void;
  /** The database was restored or has deleted events that this node does not have: it cannot go on. */
  onForeign: (reason: string) => void;
  /** With each renewal: all nodes and the owners of partitions. */
  onDirectory: (directory: DirectoryRow) => void;
}

/**
 * This node's row in Postgres, which is its lease. It records the last acknowledgement: everything committed before it
 * has reached the node's caches and sockets. A block or the end of a session waits for that record, or for the end of
 * the lease, after which this node answers nothing from memory and sends nothing (`connection.ts`).
 */
export class Membership implements AsyncDisposable {
  #acknowledged = 0;
  /** The last requested acknowledgement, and since when it is due. */
  #wanted = 0;
  #owedSince = Infinity;
  #acknowledging: Promise<void> | undefined;
  #renewing: Promise<void> | undefined;
  #timers: ReturnType<typeof setInterval>[] = [];
  #closed = false;

  private constructor(private readonly options: Options) {}

  /** Resolves when the node is registered and may accept listeners. */
  static async join(options: Options): Promise<Membership> {
    const membership = new Membership(options);
    // There are no sockets yet, so everything is acknowledged.
    membership.#acknowledged = membership.#wanted = await lastAcknowledgement(options.sql);
    await membership.#renew();
    membership.#timers = [
      setInterval(() => membership.#beat(), RENEW_MS),
      setInterval(() => void membership.#lookAtAccounts(), ACCOUNTS_MS),
    ];
    return membership;
  }

  get id(): string {
    return this.options.id;
  }

  /** Renews the lease now, so that other nodes read this node's new state at once. */
  async renew(): Promise<void> {
    await this.#renew();
  }

  /** Resolves when this node's caches and sockets have everything committed before this mark was taken. */
  async acknowledge(mark: number): Promise<void> {
    while (this.#acknowledged < mark && !this.#closed) {
      this.#acknowledging ??= this.#acknowledge().finally(() => this.#acknowledging = undefined);
      await this.#acknowledging;
    }
  }

  /** Another node waits for an acknowledgement. */
  async acknowledgeLatest(): Promise<void> {
    try {
      await this.acknowledge(await lastAcknowledgement(this.options.sql));
    } catch (error) {
      this.options.log.warnOften("acknowledgement failed", {}, { error });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const timer of this.#timers) clearInterval(timer);
    await this.#acknowledging?.catch(() => {});
    await this.#renewing?.catch(() => {});
    // Partitions that could not be released are free for others without this row, so nothing here counts any more.
    this.options.lease.end();
    // The sockets are closed by now. If this fails, others wait for the end of the lease.
    await leave(this.options.sql, this.id).catch(() => {});
  }

  #beat(): void {
    const { gateway, lease, log } = this.options;
    if (!lease.holds) gateway.closeAll();
    if (performance.now() - this.#owedSince > ACKNOWLEDGE_WITHIN_MS) {
      log.warn("acknowledgement overdue, giving up the node's lease");
    } else if (!this.#renewing) {
      this.#renew().catch((error) => log.warnOften("renewing the node's lease failed, retrying", {}, { error }));
    }
    if (this.#wanted > this.#acknowledged && !this.#acknowledging) void this.acknowledgeLatest();
  }

  async #acknowledge(): Promise<void> {
    const { sql, stream, gateway } = this.options;
    // Read first: everything read after it is covered by the mark.
    const mark = await lastAcknowledgement(sql);
    this.#owe(mark);
    if (!await stream.catchUp()) throw new Error("The events could not be read");
    await gateway.flush();
    await gateway.accounts.finish();
    this.#acknowledged = mark;
    this.#owedSince = this.#wanted > mark ? performance.now() : Infinity;
    await this.#renew();
  }

  async #renew(): Promise<void> {
    // In sequence, so that an older value never replaces a newer one.
    while (this.#renewing) await this.#renewing.catch(() => {});
    this.#renewing = this.#askForLease().finally(() => this.#renewing = undefined);
    await this.#renewing;
  }

  async #askForLease(): Promise<void> {
    const { id, url, actors, sql, lease, onDirectory } = this.options;
    const askedAt = performance.now();
    const askedAtWall = Date.now();
    const { mark, ...directory } = await renewLease(sql, {
      id,
      leaseMs: LEASE_MS,
      acknowledged: this.#acknowledged,
      url: url(),
      actors: actors(),
    });
    // Also due if it cannot catch up: others wait for this node until it gives up its lease.
    this.#owe(mark);
    if (!lease.holds) await this.#afterLapse();
    lease.granted(askedAt, askedAtWall);
    onDirectory(directory);
  }

  /** Others did not wait for this node, so it first learns everything committed before the new lease. */
  async #afterLapse(): Promise<void> {
    const { stream, gateway, onLapse, onForeign } = this.options;
    gateway.closeAll();
    onLapse();
    const foreign = await stream.foreign();
    if (foreign !== undefined) {
      onForeign(foreign);
      throw new Error(foreign);
    }
    if (!await stream.catchUp()) throw new Error("The events could not be read");
  }

  #owe(mark: number): void {
    if (mark <= this.#wanted) return;
    this.#wanted = mark;
    if (mark > this.#acknowledged) this.#owedSince = Math.min(this.#owedSince, performance.now());
  }

  async #lookAtAccounts(): Promise<void> {
    await this.options.gateway.accounts.recheck().catch((error) =>
      this.options.log.warnOften("rechecking listeners' accounts failed, retrying", {}, { error })
    );
  }
}

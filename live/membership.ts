import { lastAcknowledgement, leave, renewLease } from "../db/nodes.ts";
import type { Sql } from "../db/sql.ts";
import type { Log } from "../lib/log.ts";
import type { EventStream } from "./event_stream.ts";
import type { Gateway } from "./gateway.ts";
import { LEASE_MS, RENEW_MS, type SendLease } from "./send_lease.ts";

/** A node that cannot tell its sockets what it was asked to for so long gives its lease up, and its sockets with it. */
const ACKNOWLEDGE_WITHIN_MS = 4_000;
/** Between looks at the accounts of all open sockets, for what nobody told of. */
const ACCOUNTS_MS = 3_000;

interface Options {
  sql: Sql;
  stream: EventStream;
  gateway: Gateway;
  lease: SendLease;
  log: Log;
}

/**
 * This node among those that have sockets: holds its place in Postgres, and says there up to which acknowledgement its sockets know all.
 * Whoever acknowledges a block waits for that, or for the end of the lease, after which no frame leaves this node (`connection.ts`).
 */
export class Membership implements AsyncDisposable {
  readonly id: string = crypto.randomUUID();
  #acknowledged = 0;
  /** The last acknowledgement known of, and since when this node owes it. */
  #wanted = 0;
  #owedSince = Infinity;
  #acknowledging: Promise<void> | undefined;
  #renewing: Promise<void> | undefined;
  #timers: ReturnType<typeof setInterval>[] = [];
  #closed = false;

  private constructor(private readonly options: Options) {}

  /** Resolves when this node has its place, and so may take listeners. */
  static async join(options: Options): Promise<Membership> {
    const membership = new Membership(options);
    // Without sockets it has told all there was.
    membership.#acknowledged = membership.#wanted = await lastAcknowledgement(options.sql);
    await membership.#renew();
    membership.#timers = [
      setInterval(() => membership.#beat(), RENEW_MS),
      setInterval(() => void membership.#lookAtAccounts(), ACCOUNTS_MS),
    ];
    return membership;
  }

  /** Resolves when the sockets of this node know all that was committed before this acknowledgement was taken. */
  async acknowledge(mark: number): Promise<void> {
    while (this.#acknowledged < mark && !this.#closed) {
      this.#acknowledging ??= this.#acknowledge().finally(() => this.#acknowledging = undefined);
      await this.#acknowledging;
    }
  }

  /** Somebody waits for an acknowledgement. */
  async acknowledgeLatest(): Promise<void> {
    try {
      await this.acknowledge(await lastAcknowledgement(this.options.sql));
    } catch (error) {
      this.options.log.warn("the sockets could not be told yet", { error });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const timer of this.#timers) clearInterval(timer);
    await this.#acknowledging?.catch(() => {});
    await this.#renewing?.catch(() => {});
    // Its sockets are closed by now; whoever cannot say so is waited for a little.
    await leave(this.options.sql, this.id).catch(() => {});
  }

  #beat(): void {
    const { gateway, lease, log } = this.options;
    if (!lease.holds) gateway.letGo();
    if (performance.now() - this.#owedSince > ACKNOWLEDGE_WITHIN_MS) {
      log.warn("the sockets could not be told in time; the node's lease is given up");
    } else if (!this.#renewing) {
      this.#renew().catch((error) => log.warn("the node's lease could not be renewed; trying again", { error }));
    }
    if (this.#wanted > this.#acknowledged && !this.#acknowledging) void this.acknowledgeLatest();
  }

  async #acknowledge(): Promise<void> {
    const { sql, stream, gateway } = this.options;
    // First, so that what is read after it is all that the number stands for.
    const mark = await lastAcknowledgement(sql);
    this.#owe(mark);
    await stream.catchUp();
    await gateway.flush();
    await gateway.judgeAll();
    this.#acknowledged = mark;
    this.#owedSince = this.#wanted > mark ? performance.now() : Infinity;
    await this.#renew();
  }

  async #renew(): Promise<void> {
    // One after another, so that an older word never replaces a newer one.
    while (this.#renewing) await this.#renewing.catch(() => {});
    this.#renewing = this.#askForLease().finally(() => this.#renewing = undefined);
    await this.#renewing;
  }

  async #askForLease(): Promise<void> {
    const { sql, lease, gateway } = this.options;
    const askedAt = performance.now();
    const mark = await renewLease(sql, { id: this.id, leaseMs: LEASE_MS, acknowledged: this.#acknowledged });
    // It was over in between: nobody waited for what those sockets were not told.
    if (!lease.holds) gateway.letGo();
    lease.granted(askedAt);
    this.#owe(mark);
  }

  #owe(mark: number): void {
    if (mark <= this.#wanted) return;
    this.#wanted = mark;
    if (mark > this.#acknowledged) this.#owedSince = Math.min(this.#owedSince, performance.now());
  }

  async #lookAtAccounts(): Promise<void> {
    await this.options.gateway.judgeAll().catch((error) =>
      this.options.log.warn("the accounts of listeners could not be looked at; trying again", { error })
    );
  }
}

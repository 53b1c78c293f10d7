import {
  type Answered,
  claimReceipt,
  deleteReceipt,
  endReceiptLease,
  finishReceipt,
  receiptOf,
  renewReceipts,
  takeOverReceipt,
} from "../../db/receipts.ts";
import { LEASE_MS, RENEW_MS } from "../../actors/runtime/node_lease.ts";
import type { Sql } from "../../db/sql.ts";
import { AppError } from "../../lib/errors.ts";
import { newId } from "../../lib/ids.ts";

/** As long as the lease of a node: a request that has not renewed its hold on a key for this long counts as dead. */
const LEASE_S = LEASE_MS / 1_000;
const ROUNDS = 5;

export interface Asked {
  /** The owner of the key: the account's id, or a keyed hash of the address. */
  scope: string;
  key: string;
  /** A keyed hash of method, path and body. */
  bodyMac: string;
}

export type Begun = { replay: Answered } | { receipt: { id: string; result?: unknown } };

/** 1 to 128 visible ASCII characters. */
export function validKey(key: string): boolean {
  return /^[\x21-\x7e]{1,128}$/.test(key);
}

/**
 * One key and body, one effect. A commit writes its result into the receipt together with its effect. If the node dies
 * between effect and answer, the request that takes over the receipt answers with that result.
 */
export class Idempotency implements Disposable {
  /** Receipts of requests in progress here, with their start times. */
  #held = new Map<string, number>();
  /** Receipts that could not be released, as the database was away, and whether they were refused. */
  #unreleased = new Map<string, boolean>();
  #renewing: ReturnType<typeof setInterval> | undefined;

  constructor(
    private readonly sql: Sql,
    private readonly secret: { mac(purpose: string, data: string | Uint8Array): string },
  ) {}

  /**
   * Throws `idempotency-key-reused` for another body and `idempotency-key-running` while another request holds the key.
   */
  async begin({ scope, key, bodyMac }: Asked): Promise<Begun> {
    // Keys may contain the caller's data, so only their keyed hash is stored.
    const stored = this.secret.mac("idempotency-key", key);
    // More than one round only if the receipt is released between two statements.
    for (let round = 0; round < ROUNDS; round++) {
      const id = newId();
      if (await claimReceipt(this.sql, { id, scope, key: stored, bodyMac, leaseS: LEASE_S })) {
        this.#hold(id);
        return { receipt: { id } };
      }
      const known = await receiptOf(this.sql, scope, stored);
      if (!known) continue;
      if (known.body_mac !== bodyMac) throw new AppError("idempotency-key-reused");
      if (known.state === "done") {
        return { replay: { status: known.status!, location: known.location, body: known.body } };
      }
      const taken = await takeOverReceipt(this.sql, known.id, LEASE_S);
      if (!taken) break;
      this.#hold(taken.id);
      return { receipt: taken.result === null ? { id: taken.id } : taken };
    }
    throw new AppError("idempotency-key-running", undefined, { retryAfter: 1 });
  }

  async finish(id: string, answered: Answered): Promise<void> {
    this.#letGo(id);
    await finishReceipt(this.sql, id, answered);
  }

  /**
   * After a failed request. If `error` leaves the outcome open, the receipt stays and can be taken over at once: a late
   * commit still finds it, and a repeated request runs under the same id. Otherwise the key is free again for any body.
   */
  async release(id: string, error?: unknown): Promise<void> {
    this.#letGo(id);
    const refused = error === undefined || (error instanceof AppError && error.status < 500);
    try {
      await this.#release(id, refused);
    } catch (failure) {
      // Otherwise the key would stay reserved until its lease ends, although no request uses it.
      this.#unreleased.set(id, refused);
      this.#watch();
      throw failure;
    }
  }

  async #release(id: string, refused: boolean): Promise<void> {
    if (refused) await deleteReceipt(this.sql, id);
    // Also ends a receipt that was not deleted because its effect has happened.
    await endReceiptLease(this.sql, id);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#renewing);
    this.#held.clear();
  }

  #hold(id: string): void {
    this.#held.set(id, performance.now());
    this.#watch();
  }

  #watch(): void {
    if (this.#renewing !== undefined) return;
    this.#renewing = setInterval(() => this.#renew(), RENEW_MS);
    Deno.unrefTimer(this.#renewing as unknown as number);
  }

  #letGo(id: string): void {
    this.#held.delete(id);
    if (this.#held.size > 0 || this.#unreleased.size > 0) return;
    clearInterval(this.#renewing);
    this.#renewing = undefined;
  }

  #renew(): void {
    for (const [id, refused] of this.#unreleased) {
      this.#release(id, refused).then(() => this.#unreleased.delete(id), () => {});
    }
    const since = performance.now() - RENEW_MS;
    const long = [...this.#held].filter(([, begun]) => begun <= since).map(([id]) => id);
    // If this fails, the next renewal follows soon. A takeover meanwhile uses the same id, so there is still one
    // effect.
    if (long.length > 0) renewReceipts(this.sql, long, LEASE_S).catch(() => {});
  }
}

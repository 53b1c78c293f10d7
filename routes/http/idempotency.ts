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
import type { Sql } from "../../db/sql.ts";
import { AppError } from "../../lib/errors.ts";
import { newId } from "../../lib/ids.ts";

/** A request that has not renewed its hold on a key for so long is taken for dead, as its node is (`docs/limits.md`). */
const LEASE_S = 5;
const RENEW_MS = 1_000;
const ROUNDS = 5;

export interface Asked {
  /** Whose key it is: the account's id, or a keyed hash of the address. */
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
 * One key and body, one effect. A commit writes its result into the receipt together with its effect, so a request whose node
 * died between the effect and the answer is answered by whoever takes the receipt over, from that result.
 */
export class Idempotency implements Disposable {
  /** Receipts of requests under way here, with the time they began. */
  #held = new Map<string, number>();
  #renewing: ReturnType<typeof setInterval> | undefined;

  constructor(
    private readonly sql: Sql,
    private readonly secret: { mac(purpose: string, data: string | Uint8Array): string },
  ) {}

  /** Throws `idempotency-key-reused` for another body and `idempotency-key-running` while somebody else is at it. */
  async begin({ scope, key, bodyMac }: Asked): Promise<Begun> {
    // Keys may name things of the caller's; stored is only their keyed hash.
    const stored = this.secret.mac("idempotency-key", key);
    // More than one round only where the receipt is released between two statements.
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
   * After a request that failed. Where `error` leaves open what happened, the receipt stays and can be taken over at once: a late
   * commit still finds it, and a repetition runs under the same id. Otherwise the key is free again, for any body.
   */
  async release(id: string, error?: unknown): Promise<void> {
    this.#letGo(id);
    const refused = error === undefined || (error instanceof AppError && error.status < 500);
    if (refused) await deleteReceipt(this.sql, id);
    // Reaches what the first did not delete, too: a receipt whose effect has happened.
    await endReceiptLease(this.sql, id);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#renewing);
    this.#held.clear();
  }

  #hold(id: string): void {
    this.#held.set(id, performance.now());
    this.#renewing ??= setInterval(() => this.#renew(), RENEW_MS);
    Deno.unrefTimer(this.#renewing as unknown as number);
  }

  #letGo(id: string): void {
    this.#held.delete(id);
    if (this.#held.size > 0) return;
    clearInterval(this.#renewing);
    this.#renewing = undefined;
  }

  #renew(): void {
    const since = performance.now() - RENEW_MS;
    const long = [...this.#held].filter(([, begun]) => begun <= since).map(([id]) => id);
    // Should it fail, the next one comes soon; who takes a receipt over meanwhile works under the same id, so the effect stays one.
    if (long.length > 0) renewReceipts(this.sql, long, LEASE_S).catch(() => {});
  }
}

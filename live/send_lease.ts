/** How long a node may send after it requested a lease, by the database's clock (`docs/limits.md`). */
export const LEASE_MS = 5_000;
/** Interval of renewals. */
export const RENEW_MS = 1_000;
/** Subtracted by a node from its own lease and added by the others. */
export const MARGIN_MS = 500;

/**
 * Whether this node's lease holds, by its own clock alone, so a process that was suspended finds it expired when it
 * resumes. The database starts the lease between request and answer, so it never expires there before it does here.
 */
export class SendLease {
  #until = -Infinity;

  constructor(private readonly now: () => number = () => performance.now()) {}

  get holds(): boolean {
    return this.now() < this.#until;
  }

  /** Remaining milliseconds without a renewal. */
  get leftMs(): number {
    return Math.max(0, this.#until - this.now());
  }

  /** The lease requested at this moment was granted. */
  granted(askedAt: number): void {
    this.#until = Math.max(this.#until, askedAt + LEASE_MS - MARGIN_MS);
  }
}

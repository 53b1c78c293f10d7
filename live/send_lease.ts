/** How long a node may send to its sockets after it asked to, by the database's clock (`docs/limits.md`). */
export const LEASE_MS = 5_000;
/** Between renewals. */
export const RENEW_MS = 1_000;
/** What a node takes off its own lease, and others add to it. */
export const MARGIN_MS = 500;

/**
 * Whether this node's lease holds, by its own clock alone, so that a process that stood still finds it over in the first moment it goes
 * on. The database counts from a moment between the asking and the answer, and so never ends it sooner than this does.
 */
export class SendLease {
  #until = -Infinity;

  constructor(private readonly now: () => number = () => performance.now()) {}

  get holds(): boolean {
    return this.now() < this.#until;
  }

  /** Milliseconds it still holds if nobody asks for it again. */
  get leftMs(): number {
    return Math.max(0, this.#until - this.now());
  }

  /** The lease that was asked for at this moment was granted. */
  granted(askedAt: number): void {
    this.#until = Math.max(this.#until, askedAt + LEASE_MS - MARGIN_MS);
  }
}

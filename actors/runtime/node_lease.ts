/** How long a node may use its memory after it requested a lease, by the database's clock (`docs/limits.md`). */
export const LEASE_MS = 2_500;
/** Interval of renewals. */
export const RENEW_MS = 600;
/** Subtracted by a node from its own lease, and added by nodes that wait for its acknowledgement. */
export const MARGIN_MS = 250;

/**
 * Whether this node's lease holds, by its own clock alone, so a process that was suspended finds it expired when it
 * resumes. The database starts the lease between request and answer, so it never expires there before it does here.
 * Without a lease a node answers nothing from memory: others no longer wait until it knows of their changes.
 */
export class NodeLease {
  #until = -Infinity;
  /** The monotonic clock stands still while a machine is suspended, the wall clock does not. */
  #untilWall = -Infinity;

  constructor(
    private readonly now: () => number = () => performance.now(),
    private readonly wall: () => number = () => Date.now(),
  ) {}

  get holds(): boolean {
    return this.now() < this.#until && this.wall() < this.#untilWall;
  }

  /** Remaining milliseconds without a renewal. */
  get leftMs(): number {
    return Math.max(0, this.#until - this.now());
  }

  /** The lease requested at this moment, by both clocks, was granted. */
  granted(askedAt: number, askedAtWall: number): void {
    const until = askedAt + LEASE_MS - MARGIN_MS;
    if (until <= this.#until) return;
    this.#until = until;
    // A little longer, so that a clock which is being corrected does not end it.
    this.#untilWall = askedAtWall + LEASE_MS;
  }

  /** The node gives the lease up. */
  end(): void {
    this.#until = -Infinity;
  }
}

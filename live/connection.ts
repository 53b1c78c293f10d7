import { type Clock, LikeThrottle } from "./like_throttle.ts";
import { sleep } from "../lib/sleep.ts";

/** Bytes that may wait for a listener's socket before it counts as too slow (`docs/limits.md`). */
export const MAX_QUEUE_BYTES = 1024 * 1024;
/** Messages a listener may send. A listener has no reason to send any. */
const MAX_MESSAGES = 64;
/** Length of a message, in characters or bytes. */
const MAX_MESSAGE_LENGTH = 1_024;
export const TOO_LONG = "message too long";

/** The part of a WebSocket used here. */
export interface Socket {
  readonly readyState: number;
  readonly bufferedAmount: number;
  send(text: string): void;
  close(code: number, reason: string): void;
}

export const CLOSE = {
  sessionEnded: 4401,
  blocked: 4403,
  tooSlow: 4408,
  restarting: 1012,
  policy: 1008,
  tooLong: 1009,
} as const;

/** One open socket of one session, with its subscriptions. */
export class Connection {
  /** Pages in the listener's feed. */
  readonly pages = new Set<string>();
  /** Pages of the feed whose posts the listener may not see now. */
  readonly hidden = new Set<string>();
  /** Everything up to this event was sent or is held by the throttle. */
  from = 0;
  /** Whether it has caught up and receives the live stream. */
  live = false;
  #closed = false;
  #chatter = 0;
  readonly #pace: LikeThrottle;

  constructor(
    private readonly socket: Socket,
    readonly userId: string,
    readonly sessionId: string,
    readonly staff: boolean,
    private readonly lease: { readonly holds: boolean },
    clock?: Clock,
  ) {
    this.#pace = new LikeThrottle((frame) => this.#write(frame), clock);
  }

  get open(): boolean {
    return !this.#closed && this.socket.readyState === WebSocket.OPEN;
  }

  /**
   * Sends a frame. If a frame of the same count (`paced`) was sent a moment ago, this one and those after it are held.
   * Returns false if the socket is closed or closes because it is too slow.
   */
  send(frame: string, paced?: string): boolean {
    if (!this.open) return false;
    if (this.#waiting > MAX_QUEUE_BYTES) {
      this.close(CLOSE.tooSlow, "too slow: reconnect with the last cursor");
      return false;
    }
    if (paced === undefined && !this.#pace.holds) this.#write(frame);
    else this.#pace.send(frame, paced);
    return true;
  }

  /** Whether the socket has sent most of its queue. */
  get isDrained(): boolean {
    return this.#waiting <= MAX_QUEUE_BYTES / 4;
  }

  /** For long replays: waits until the socket is drained. Returns false on timeout, or if it is closed. */
  async drained(timeoutMs = 15_000): Promise<boolean> {
    const end = Date.now() + timeoutMs;
    while (this.open && !this.isDrained) {
      if (Date.now() > end) {
        this.close(CLOSE.tooSlow, "too slow: reconnect with the last cursor");
        return false;
      }
      await sleep(20);
    }
    return this.open;
  }

  /** Resolves when every frame up to now was passed to the socket or dropped. */
  flushed(): Promise<void> {
    return this.#pace.flushed();
  }

  /** The peer has sent a message of this length. */
  received(length: number): void {
    if (length > MAX_MESSAGE_LENGTH) this.close(CLOSE.tooLong, TOO_LONG);
    else if (++this.#chatter > MAX_MESSAGES) this.close(CLOSE.policy, "too many messages");
  }

  close(code: number, reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#pace.clear();
    try {
      this.socket.close(code, reason);
    } catch {
      // Already closing.
    }
  }

  /** The only place that sends. Nothing asynchronous may come between the lease check and the send. */
  #write(frame: string): void {
    if (!this.open) return;
    if (this.lease.holds) this.socket.send(frame);
    else this.close(CLOSE.restarting, "reconnect with the last cursor");
  }

  /** Bytes that the peer has not received yet. */
  get #waiting(): number {
    return this.socket.bufferedAmount + this.#pace.heldBytes;
  }
}

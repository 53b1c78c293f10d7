import { type Clock, LikeThrottle } from "./like_throttle.ts";
import { sleep } from "../lib/sleep.ts";

/** What a listener's socket may hold back, in bytes, before it counts as too slow (`docs/limits.md`). */
export const MAX_QUEUE_BYTES = 1024 * 1024;
/** Messages a listener may send: it has nothing to say, so a chatty one is a mistake or worse. */
const MAX_MESSAGE_BYTES = 64;
/** Characters of one of them, or bytes. */
const MAX_MESSAGE = 1_024;
export const TOO_LONG = "a listener's messages are short";

/** The part of a WebSocket that is needed here. */
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

/** One open socket of one session, and what it listens to. */
export class Connection {
  /** Pages in the listener's feed. */
  readonly pages = new Set<string>();
  /** Those of them whose posts the listener may not see now. */
  readonly hidden = new Set<string>();
  /** Up to here everything was sent, or is held by the pace of likes. */
  from = 0;
  /** Whether it has caught up and takes part in the live stream. */
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
   * Sends a frame, or holds it and those after it where the number `paced` was sent a moment ago. False once the
   * socket is closed or closes because it does not keep up.
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

  /** For long replays: waits until the socket has taken most of what it was given. False where it does not in time. */
  async drained(timeoutMs = 15_000): Promise<boolean> {
    const end = Date.now() + timeoutMs;
    while (this.open && this.#waiting > MAX_QUEUE_BYTES / 4) {
      if (Date.now() > end) {
        this.close(CLOSE.tooSlow, "too slow: reconnect with the last cursor");
        return false;
      }
      await sleep(20);
    }
    return this.open;
  }

  /** Resolves when every frame until now is on its way to the peer, or never will be. */
  flushed(): Promise<void> {
    return this.#pace.flushed();
  }

  /** The peer has sent a message of this length. */
  heard(length: number): void {
    if (length > MAX_MESSAGE) this.close(CLOSE.tooLong, TOO_LONG);
    else if (++this.#chatter > MAX_MESSAGE_BYTES) this.close(CLOSE.policy, "listeners have nothing to say");
  }

  close(code: number, reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#pace.clear();
    try {
      this.socket.close(code, reason);
    } catch {
      // Already closing: nothing more to say.
    }
  }

  /** The one way out. Nothing may come between the look at the lease and the sending. */
  #write(frame: string): void {
    if (!this.open) return;
    if (this.lease.holds) this.socket.send(frame);
    else this.close(CLOSE.restarting, "reconnect with the last cursor");
  }

  /** Bytes that the peer has yet to take. */
  get #waiting(): number {
    return this.socket.bufferedAmount + this.#pace.heldBytes;
  }
}

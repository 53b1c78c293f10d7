/** A live listener: collects the frames of one WebSocket and waits for those a test is about. */
import assert from "node:assert/strict";
import { checkFrame, isDeclaredClose } from "./frames.ts";

export interface LiveFrame {
  type: string;
  id?: string;
  cursor?: string;
  reason?: string;
  heartbeat_s?: number;
  // deno-lint-ignore no-explicit-any -- each type has data of its own
  data?: any;
}

export class Listener implements AsyncDisposable {
  readonly frames: LiveFrame[] = [];
  /** How it ended. */
  readonly closed: Promise<{ code: number; reason: string }>;
  #taken = 0;
  /** What came that is not declared. */
  #wrong: Error | undefined;
  #waiting = new Set<() => void>();
  #over: { code: number; reason: string } | undefined;

  private constructor(private readonly socket: WebSocket) {
    const { promise, resolve } = Promise.withResolvers<{ code: number; reason: string }>();
    this.closed = promise;
    socket.onmessage = ({ data }) => {
      const frame = JSON.parse(data);
      try {
        checkFrame(frame);
      } catch (error) {
        this.#wrong ??= error as Error;
      }
      this.frames.push(frame);
      this.#wake();
    };
    socket.onclose = ({ code, reason }) => {
      if (!isDeclaredClose(code)) this.#wrong ??= new Error(`The socket closed with ${code}, which is not declared`);
      resolve(this.#over = { code, reason });
      this.#wake();
    };
  }

  static async open(url: string, token?: string): Promise<Listener> {
    const socket = new WebSocket(url, token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } });
    const listener = new Listener(socket);
    await new Promise<void>((resolve, reject) => {
      socket.onopen = () => resolve();
      socket.onerror = (event) => reject(new Error(`The socket did not open: ${(event as ErrorEvent).message}`));
    });
    socket.onerror = null;
    return listener;
  }

  /** The next frame that fits; those before it are passed over for good. */
  async next(fits: string | ((frame: LiveFrame) => boolean), timeoutMs = 5_000): Promise<LiveFrame> {
    const predicate = typeof fits === "string" ? (frame: LiveFrame) => frame.type === fits : fits;
    const end = Date.now() + timeoutMs;
    while (true) {
      if (this.#wrong) throw this.#wrong;
      while (this.#taken < this.frames.length) {
        const frame = this.frames[this.#taken++]!;
        if (predicate(frame)) return frame;
      }
      const told = JSON.stringify(this.frames.map(({ type }) => type));
      if (this.#over) assert.fail(`The socket closed with ${this.#over.code} instead of ${fits}; it had told ${told}`);
      if (Date.now() >= end) assert.fail(`No frame is ${fits} after ${timeoutMs} ms; there were ${told}`);
      await this.#news(end - Date.now());
    }
  }

  /** How it ended; fails where it stays open. */
  async ended(timeoutMs = 5_000): Promise<{ code: number; reason: string }> {
    for (const end = Date.now() + timeoutMs; !this.#over;) {
      if (Date.now() >= end) assert.fail(`The socket is still open after ${timeoutMs} ms`);
      await this.#news(end - Date.now());
    }
    return this.#over;
  }

  get isOpen(): boolean {
    return this.#over === undefined && this.socket.readyState === WebSocket.OPEN;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#over) {
      this.socket.close();
      await this.closed;
    }
    if (this.#wrong) throw this.#wrong;
  }

  async #news(timeoutMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, timeoutMs);
    this.#waiting.add(resolve);
    await promise;
    clearTimeout(timer);
    this.#waiting.delete(resolve);
  }

  #wake(): void {
    for (const resolve of this.#waiting) resolve();
  }
}

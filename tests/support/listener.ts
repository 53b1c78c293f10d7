/**
 * A live listener: keeps everything it received, over any number of connections. Every frame and every closing code is
 * held against what the service declares. It speaks over plain TCP, so it sees pings and can be cut without a closing
 * handshake.
 */
import assert from "node:assert/strict";
import type { Json, Node } from "./api.ts";
import { checkFrame, isDeclaredClose } from "./frames.ts";
import { RawSocket } from "./raw_socket.ts";
import { until } from "./wait.ts";

/** The parsed frame. */
export interface LiveFrame {
  type: string;
  id?: string;
  cursor?: string;
  reason?: string;
  heartbeat_s?: number;
  data?: Json;
}

/** A frame other than `hello`, `reset` and heartbeat. */
export interface LiveEvent extends LiveFrame {
  id: string;
  cursor: string;
  seq: number;
  /** The number of the listener's connection. */
  connection: number;
  /** Milliseconds, of `performance.now()`. */
  at: number;
}

/** By an access token, as a `Person` has one, or with a ticket as a browser does. */
export type Credentials = { node: Node; login?: string } & ({ token: string } | { ticket: string });
export interface Ending {
  code: number;
  reason: string;
}

export class Listener<By extends Credentials = Credentials> implements AsyncDisposable {
  /** All of them. */
  readonly frames: LiveFrame[] = [];
  readonly events: LiveEvent[] = [];
  readonly hellos: Json[] = [];
  readonly resets: string[] = [];
  /** The first undeclared frame or code. */
  wrong: unknown;
  pings = 0;
  heartbeats = 0;
  /** How the last connection ended. */
  closed: Ending | undefined;
  cursor: string | undefined;
  connected = false;
  #socket: RawSocket | undefined;
  #connections = 0;
  #taken = 0;

  constructor(readonly person: By, cursor?: string) {
    this.cursor = cursor;
  }

  static async open<By extends Credentials>(by: By, cursor?: string): Promise<Listener<By>> {
    const listener = new Listener(by, cursor);
    await listener.connect();
    return listener;
  }

  /** Connects with the last cursor received, or another one; resolves at `hello`. */
  async connect(cursor: string | undefined = this.cursor): Promise<void> {
    const { person } = this;
    const url = new URL("/api/v1/feed/live", person.node.url);
    if (cursor !== undefined) url.searchParams.set("cursor", cursor);
    if ("ticket" in person) url.searchParams.set("ticket", person.ticket);
    const socket = await RawSocket.open(
      url.href,
      "token" in person ? { Authorization: `Bearer ${person.token}` } : {},
    );
    this.#socket = socket;
    this.closed = undefined;
    this.connected = true;
    const connection = ++this.#connections;
    const greeted = Promise.withResolvers<void>();
    void this.#listen(socket, connection, greeted);
    await greeted.promise;
  }

  get isOpen(): boolean {
    return this.connected && !this.closed;
  }

  /** Stops receiving, and ends the connection without a closing handshake. */
  cut(): void {
    this.connected = false;
    const socket = this.#socket;
    this.#socket = undefined;
    socket?.cut();
  }

  /** The next frame that matches. Earlier frames are skipped. */
  async next(fits: string | ((frame: LiveFrame) => boolean), timeoutMs = 60_000): Promise<LiveFrame> {
    const predicate = typeof fits === "string" ? (frame: LiveFrame) => frame.type === fits : fits;
    return await this.#found(`a frame that is ${fits}`, timeoutMs, () => {
      while (this.#taken < this.frames.length) {
        const frame = this.frames[this.#taken++]!;
        if (predicate(frame)) return frame;
      }
      if (!this.isOpen) assert.fail(`closed with ${this.closed?.code} instead of ${fits}; there were ${this.#types()}`);
      return undefined;
    });
  }

  /** The first event that matches, received or future. */
  heard(what: string, fits: (event: LiveEvent) => boolean, timeoutMs = 60_000): Promise<LiveEvent> {
    let looked = 0;
    return this.#found(what, timeoutMs, () => {
      while (looked < this.events.length) {
        const event = this.events[looked++]!;
        if (fits(event)) return event;
      }
      return undefined;
    });
  }

  /** How it ended. Fails if it stays open. */
  ended(timeoutMs = 60_000): Promise<Ending> {
    return this.#found("the end of the connection", timeoutMs, () => this.closed);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.isOpen) {
      // The server may have ended it at this moment.
      await this.#socket!.close().catch(() => {});
      await until("the closing handshake", () => !this.connected);
    }
    this.cut();
    if (this.wrong) throw this.wrong;
  }

  async #found<Value>(what: string, timeoutMs: number, look: () => Value | undefined): Promise<NonNullable<Value>> {
    const name = this.person.login ?? "a listener";
    const looked = () => {
      if (this.wrong) throw this.wrong;
      return look();
    };
    const late = () => `${name} received ${this.#types()}`;
    return await until(`${name} receives ${what}`, looked, { timeoutMs, everyMs: 5, late }) as NonNullable<Value>;
  }

  #types(): string {
    return JSON.stringify(this.frames.slice(-50).map(({ type }) => type));
  }

  async #listen(socket: RawSocket, connection: number, greeted: PromiseWithResolvers<void>): Promise<void> {
    for (let message = await socket.next(); message && this.#socket === socket; message = await socket.next()) {
      if (message.kind === "ping") this.pings++;
      if (message.kind === "close") this.#close(message);
      if (message.kind === "text") this.#take(JSON.parse(message.text), connection, greeted);
    }
    if (this.#socket === socket) {
      this.#close({ code: 1006, reason: "" });
      this.cut();
    }
    greeted.reject(new Error(`The connection ended before hello, with ${this.closed?.code}`));
  }

  #close({ code, reason }: Ending): void {
    if (!isDeclaredClose(code)) this.wrong ??= new Error(`The socket closed with ${code}, which is not declared`);
    this.closed ??= { code, reason };
  }

  #take(frame: Json, connection: number, greeted: PromiseWithResolvers<void>): void {
    try {
      checkFrame(frame);
    } catch (error) {
      this.wrong ??= error;
    }
    this.frames.push(frame);
    if (frame.type === "reset") return void this.resets.push(frame.reason);
    this.cursor = frame.cursor;
    if (frame.type === "hello") {
      this.hellos.push(frame);
      return greeted.resolve();
    }
    if (frame.type === "heartbeat") return void this.heartbeats++;
    this.events.push({ ...frame, seq: seqOf(frame.cursor), connection, at: performance.now() });
  }
}

/** The position in a cursor. It is opaque to callers, but an oracle compares it with the table. */
export function seqOf(cursor: string): number {
  return Number(atob(cursor.replaceAll("-", "+").replaceAll("_", "/")).split(":")[1]);
}

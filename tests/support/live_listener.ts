/** Somebody who listens to their live feed and keeps all they heard, over any number of connections. */
import type { Json } from "./api.ts";
import type { Person } from "./person.ts";
import { checkFrame } from "./frames.ts";
import { RawSocket } from "./raw_socket.ts";
import { until } from "./wait.ts";

export interface HeardFrame {
  type: string;
  id: string;
  cursor: string;
  data: Json;
  seq: number;
  /** Which of the listener's connections it came by. */
  connection: number;
  /** Milliseconds, of `performance.now()`. */
  at: number;
}

export class LiveListener {
  readonly frames: HeardFrame[] = [];
  readonly hellos: Json[] = [];
  readonly resets: string[] = [];
  /** What came that is not declared. */
  wrong: unknown;
  pings = 0;
  heartbeats = 0;
  closed: { code: number; reason: string } | undefined;
  cursor: string | undefined;
  connected = false;
  #socket: RawSocket | undefined;
  #connections = 0;

  constructor(readonly person: Person) {}

  static async open(person: Person, cursor?: string): Promise<LiveListener> {
    const listener = new LiveListener(person);
    listener.cursor = cursor;
    await listener.connect();
    return listener;
  }

  /** Connects with the last cursor heard, or another one; resolves at `hello`. */
  async connect(cursor: string | undefined = this.cursor): Promise<void> {
    const query = cursor === undefined ? "" : `?cursor=${cursor}`;
    const socket = await RawSocket.open(`${this.person.node.url}/api/v1/feed/live${query}`, {
      Authorization: `Bearer ${this.person.token}`,
    });
    this.#socket = socket;
    this.closed = undefined;
    this.connected = true;
    const number = ++this.#connections;
    const greeted = Promise.withResolvers<void>();
    void this.#listen(socket, number, greeted);
    await greeted.promise;
  }

  /** From here on nothing more is heard, and the connection ends without a word. */
  cut(): void {
    this.connected = false;
    const socket = this.#socket;
    this.#socket = undefined;
    socket?.cut();
  }

  /** Waits until a frame came that fits. */
  heard(what: string, fits: (frame: HeardFrame) => boolean): Promise<HeardFrame> {
    let looked = 0;
    return until(`${this.person.login} hears ${what}`, () => {
      if (this.wrong) throw this.wrong;
      while (looked < this.frames.length) if (fits(this.frames[looked++]!)) return this.frames[looked - 1];
      return undefined;
    });
  }

  async #listen(socket: RawSocket, connection: number, greeted: PromiseWithResolvers<void>): Promise<void> {
    for (let message = await socket.next(); message && this.#socket === socket; message = await socket.next()) {
      if (message.kind === "ping") this.pings++;
      if (message.kind === "close") this.closed ??= message;
      if (message.kind === "text") this.#take(JSON.parse(message.text), connection, greeted);
    }
    if (this.#socket === socket) this.cut();
    greeted.reject(new Error("The connection ended before hello"));
  }

  #take(frame: Json, connection: number, greeted: PromiseWithResolvers<void>): void {
    try {
      checkFrame(frame);
    } catch (error) {
      this.wrong ??= error;
    }
    if (frame.type === "reset") return void this.resets.push(frame.reason);
    this.cursor = frame.cursor;
    if (frame.type === "hello") {
      this.hellos.push(frame);
      return greeted.resolve();
    }
    if (frame.type === "heartbeat") return void this.heartbeats++;
    this.frames.push({ ...frame, seq: seqOf(frame.cursor), connection, at: performance.now() });
  }
}

/** The place a cursor names; opaque to callers, but an oracle compares it with the table. */
export function seqOf(cursor: string): number {
  return Number(atob(cursor.replaceAll("-", "+").replaceAll("_", "/")).split(":")[1]);
}

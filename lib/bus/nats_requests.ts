/**
 * Requests over NATS: core messages. Long replies are sent in pieces. The server reports when nobody serves a subject.
 */
import { createInbox, headers, type Msg, type NatsConnection, type Subscription } from "@nats-io/nats-core";
import type { Log } from "../log.ts";
import type { Outbox } from "./outbox.ts";
import { BusUnavailable, MAX_REQUEST_BYTES, NobodyThere, NoReply } from "./bus.ts";

/** The queue group of the servers of a subject. */
const QUEUE = "serving";
/** The length of a piece of a reply, in bytes: half of the default message limit of NATS. */
const PIECE_BYTES = 512 * 1024;
/** `<number of this piece>/<number of pieces>`, if there are several. */
const PIECE_HEADER = "Rookery-Piece";
/** The status of the server's answer to a request without subscribers. */
const NO_RESPONDERS = 503;
const ENCODER = new TextEncoder();
const DECODER = new TextDecoder();

interface Waiting {
  pieces: Uint8Array[];
  resolve(reply: string): void;
  reject(error: Error): void;
}

/** The client side: one inbox for all requests. */
export class NatsRequests {
  readonly #inbox = createInbox();
  readonly #waiting = new Map<string, Waiting>();
  #next = 1;

  attach(connection: NatsConnection): void {
    if (connection.isClosed()) return;
    connection.subscribe(`${this.#inbox}.*`, { callback: (error, message) => error ? undefined : this.#take(message) });
  }

  async ask(
    connection: NatsConnection,
    outbox: Outbox,
    subject: string,
    message: string,
    timeoutMs: number,
  ): Promise<string> {
    const payload = ENCODER.encode(message);
    if (payload.length > MAX_REQUEST_BYTES) throw new RangeError(`A request of ${payload.length} bytes is too long`);
    const token = String(this.#next++);
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    this.#waiting.set(token, { pieces: [], resolve, reject });
    const timer = setTimeout(() => reject(new NoReply(`No reply within ${timeoutMs} ms`)), timeoutMs);
    outbox.post(() => {
      try {
        connection.publish(subject, payload, { reply: `${this.#inbox}.${token}` });
      } catch (error) {
        reject(new BusUnavailable(error instanceof Error ? error.message : String(error)));
      }
    });
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(token);
    }
  }

  #take({ subject, data, headers }: Msg): void {
    const waiting = this.#waiting.get(subject.slice(this.#inbox.length + 1));
    if (!waiting) return;
    if (data.length === 0 && headers?.code === NO_RESPONDERS) {
      return waiting.reject(new NobodyThere("Nobody serves the subject"));
    }
    const [piece, pieces] = (headers?.get(PIECE_HEADER) || "1/1").split("/").map(Number) as [number, number];
    // One connection delivers pieces in order. After a reconnect some may be lost.
    if (piece !== waiting.pieces.length + 1) return waiting.reject(new NoReply("A piece of the reply was lost"));
    waiting.pieces.push(data);
    if (piece === pieces) waiting.resolve(pieces === 1 ? DECODER.decode(data) : joined(waiting.pieces));
  }
}

/** The server side of one subject. */
export class NatsServing {
  #current: Subscription | undefined;

  constructor(
    private readonly subject: string,
    private readonly handler: (message: string) => Promise<string>,
    private readonly outbox: Outbox,
    private readonly log: Log,
  ) {}

  attach(connection: NatsConnection): void {
    if (connection.isClosed()) return;
    this.#current = connection.subscribe(this.subject, {
      queue: QUEUE,
      callback: (error, message) => error ? undefined : void this.#answer(message),
    });
  }

  /** Accepts no more requests. Those received before are still answered. */
  async stop(): Promise<void> {
    if (this.#current && !this.#current.isClosed()) await this.#current.drain();
  }

  async #answer(message: Msg): Promise<void> {
    try {
      const reply = ENCODER.encode(await this.handler(message.string()));
      this.outbox.post(() => this.#respond(message, reply));
    } catch (error) {
      this.log.error("request handler failed", { subject: this.subject, error });
    }
  }

  #respond(message: Msg, reply: Uint8Array): void {
    try {
      const pieces = Math.max(1, Math.ceil(reply.length / PIECE_BYTES));
      for (let i = 0; i < pieces; i++) {
        const piece = reply.subarray(i * PIECE_BYTES, (i + 1) * PIECE_BYTES);
        message.respond(piece, pieces === 1 ? {} : { headers: numbered(i + 1, pieces) });
      }
    } catch (error) {
      this.log.error("reply failed", { subject: this.subject, error });
    }
  }
}

function numbered(piece: number, pieces: number) {
  const head = headers();
  head.set(PIECE_HEADER, `${piece}/${pieces}`);
  return head;
}

function joined(pieces: readonly Uint8Array[]): string {
  const whole = new Uint8Array(pieces.reduce((length, piece) => length + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return DECODER.decode(whole);
}

/**
 * Requests over NATS: core messages. The requests of one turn of the event loop to one subject share a message, as a
 * message costs more than its content, and so do replies. The server reports when nobody serves a subject.
 */
import { createInbox, type Msg, type NatsConnection } from "@nats-io/nats-core";
import type { Log } from "../log.ts";
import { joinFrames, splitFrames } from "./frames.ts";
import type { Envelope } from "./envelope.ts";
import type { Outbox } from "./outbox.ts";
import { BusUnavailable, MAX_REQUEST_BYTES, NobodyThere, NoReply } from "./bus.ts";
import { concatBytes } from "../bytes.ts";

/** `<token>/<number of this piece>/<number of pieces>`, for a reply in several messages. */
export const PIECE_HEADER = "Rookery-Piece";
export function requestContext(subject: string): string {
  return `request ${subject}`;
}

export function replyContext(inbox: string, piece = "whole"): string {
  return `reply ${inbox} ${piece}`;
}

/** The status of the server's answer to a request without subscribers. */
const NO_RESPONDERS = 503;
/** Interval of looks for requests without a reply. A timer for each would cost as much as its message. */
const LOOK_MS = 100;
/** Texts up to this length are not measured. */
const SHORT_BYTES = 16 * 1024;
const ENCODER = new TextEncoder();
const DECODER = new TextDecoder();

interface Waiting {
  text: string;
  /** When it ends without a reply, by `performance.now()`. */
  until: number;
  timeoutMs: number;
  pieces: Uint8Array[];
  resolve(reply: string): void;
  reject(error: Error): void;
}

/** Requests that will share a message. */
interface Batch {
  subject: string;
  /** In UTF-8, without the heads of the frames: half a message is free for them. */
  bytes: number;
  requests: Waiting[];
}

/** The client side: one inbox for all requests. */
export class NatsRequests {
  readonly #inbox = createInbox();
  readonly #waiting = new Map<number, Waiting>();
  /** By subject. */
  readonly #open = new Map<string, Batch>();
  #next = 1;
  #watch: ReturnType<typeof setInterval> | undefined;

  constructor(private readonly envelope: Envelope, private readonly log: Log) {}

  attach(connection: NatsConnection): void {
    if (connection.isClosed()) return;
    connection.subscribe(`${this.#inbox}.>`, {
      callback: (error, message) => error ? undefined : this.#receive(message),
    });
  }

  ask(
    connection: NatsConnection,
    outbox: Outbox,
    subject: string,
    text: string,
    timeoutMs: number,
  ): Promise<string> {
    const bytes = byteLength(text);
    if (bytes > MAX_REQUEST_BYTES) return Promise.reject(new RangeError(`A request of ${bytes} bytes is too long`));
    return new Promise((resolve, reject) => {
      const until = performance.now() + timeoutMs;
      const batch = this.#batch(connection, outbox, subject, bytes);
      batch.requests.push({ text, until, timeoutMs, pieces: [], resolve, reject });
    });
  }

  #batch(connection: NatsConnection, outbox: Outbox, subject: string, bytes: number): Batch {
    const open = this.#open.get(subject);
    if (open && open.bytes + bytes <= MAX_REQUEST_BYTES) {
      open.bytes += bytes;
      return open;
    }
    const batch = { subject, bytes, requests: [] };
    this.#open.set(subject, batch);
    outbox.post(() => this.#send(connection, batch));
    return batch;
  }

  #send(connection: NatsConnection, batch: Batch): void {
    const { subject, requests } = batch;
    if (this.#open.get(subject) === batch) this.#open.delete(subject);
    const first = this.#next;
    this.#next += requests.length;
    requests.forEach((request, i) => this.#waiting.set(first + i, request));
    this.#watch ??= setInterval(() => this.#look(), LOOK_MS);
    const frames = requests.map(({ text }, i) => ({ token: first + i, text }));
    try {
      const reply = `${this.#inbox}.${first}.${requests.length}`;
      // With the inbox, to which replies are bound: the subject of the reply is not protected.
      const text = `${this.#inbox}\n${joinFrames(frames)}`;
      connection.publish(subject, this.envelope.seal(ENCODER.encode(text), requestContext(subject)), { reply });
    } catch (error) {
      const unavailable = new BusUnavailable(error instanceof Error ? error.message : String(error));
      for (const { token } of frames) this.#end(token)?.reject(unavailable);
    }
  }

  #receive(message: Msg): void {
    try {
      this.#take(message);
    } catch (error) {
      // The client would stop reading from the server. The requests end without a reply.
      this.log.warnOften("malformed reply over NATS", {}, { error });
    }
  }

  #take({ subject, data, headers }: Msg): void {
    if (data.length === 0 && headers?.code === NO_RESPONDERS) return this.#refused(subject);
    const piece = headers?.get(PIECE_HEADER) || undefined;
    const plain = this.envelope.open(data, replyContext(this.#inbox, piece), subject);
    if (!plain) return;
    if (piece !== undefined) return this.#takePiece(piece, plain);
    for (const { token, text } of splitFrames(DECODER.decode(plain))) this.#end(token)?.resolve(text);
  }

  /** The status comes for the reply's subject, which has the requests' tokens. */
  #refused(subject: string): void {
    const [first, count] = subject.split(".").slice(-2).map(Number) as [number, number];
    for (let token = first; token < first + count; token++) {
      this.#end(token)?.reject(new NobodyThere("Nobody serves the subject"));
    }
  }

  #takePiece(header: string, data: Uint8Array): void {
    const [token, piece, pieces] = header.split("/").map(Number) as [number, number, number];
    const waiting = this.#waiting.get(token);
    if (!waiting) return;
    // One connection delivers pieces in order. After a reconnect some may be lost.
    if (piece !== waiting.pieces.length + 1) {
      return this.#end(token)!.reject(new NoReply("A piece of the reply was lost"));
    }
    waiting.pieces.push(data);
    if (piece === pieces) this.#end(token)!.resolve(DECODER.decode(concatBytes(waiting.pieces)));
  }

  #end(token: number): Waiting | undefined {
    const waiting = this.#waiting.get(token);
    this.#waiting.delete(token);
    return waiting;
  }

  #look(): void {
    const now = performance.now();
    for (const [token, { until, timeoutMs }] of this.#waiting) {
      if (until <= now) this.#end(token)!.reject(new NoReply(`No reply within ${timeoutMs} ms`));
    }
    if (this.#waiting.size > 0) return;
    clearInterval(this.#watch);
    this.#watch = undefined;
  }
}

/** In UTF-8; for a short text the most that it can be. */
function byteLength(text: string): number {
  const most = text.length * 3;
  return most <= SHORT_BYTES ? most : ENCODER.encode(text).length;
}

/**
 * COPY over a connection of `pg`, as streams with bounded memory. `pg-copy-streams` (7.0.0) reads the socket itself and
 * hangs at the second statement under Deno (2.9.6). Here `pg` reads the messages.
 */
import { Readable, Writable } from "node:stream";
import type pg from "../../db/pg.ts";

/** The part of `pg`'s connection that a custom statement uses. */
interface Connection {
  stream: {
    pause(): void;
    resume(): void;
    writableNeedDrain: boolean;
    once(event: "drain", listener: () => void): void;
  };
  query(text: string): void;
  sendCopyFromChunk(chunk: Uint8Array): void;
  endCopyFrom(): void;
  sendCopyFail(reason: string): void;
}

/** `copy … to stdout` */
export function copyOut(client: pg.Client, text: string): Readable {
  return client.query(new CopyOut(text) as unknown as pg.Submittable & CopyOut);
}

/** `copy … from stdin`. The stream finishes when the rows are stored. */
export function copyIn(client: pg.Client, text: string): Writable {
  return client.query(new CopyIn(text) as unknown as pg.Submittable & CopyIn);
}

/** Rows arrive as single messages that are too small to pass on one by one. */
const PIECE_BYTES = 128 * 1024;

class CopyOut extends Readable {
  #connection: Connection | undefined;
  /** A copy, because `pg` reuses its buffer for the next message. */
  #piece = new Uint8Array(PIECE_BYTES);
  #filled = 0;

  constructor(private readonly text: string) {
    super();
  }

  submit(connection: Connection): void {
    this.#connection = connection;
    connection.query(this.text);
  }

  handleCopyData({ chunk }: { chunk: Uint8Array }): void {
    if (this.#filled + chunk.length > this.#piece.length) this.#pass(Math.max(PIECE_BYTES, chunk.length));
    this.#piece.set(chunk, this.#filled);
    this.#filled += chunk.length;
  }

  handleCommandComplete(): void {}

  handleReadyForQuery(): void {
    this.#pass(0);
    this.push(null);
  }

  handleError(error: Error): void {
    this.destroy(error);
  }

  #pass(next: number): void {
    const piece = this.#piece.subarray(0, this.#filled);
    this.#piece = new Uint8Array(next);
    this.#filled = 0;
    if (piece.length > 0 && !this.destroyed && !this.push(piece)) this.#connection?.stream.pause();
  }

  override _read(): void {
    this.#connection?.stream.resume();
  }

  /** A reader that stops early still lets the connection finish. */
  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#connection?.stream.resume();
    done(error);
  }
}

const BROKEN = "The text ended early";

class CopyIn extends Writable {
  /** The connection, while it waits for the text. */
  #waiting: Connection | undefined;
  readonly #ready = Promise.withResolvers<Connection>();
  readonly #done = Promise.withResolvers<void>();

  constructor(private readonly text: string) {
    super();
    // Callers handle the rejection where they wait.
    this.#ready.promise.catch(() => {});
    this.#done.promise.catch(() => {});
  }

  submit(connection: Connection): void {
    connection.query(this.text);
  }

  handleCopyInResponse(connection: Connection): void {
    if (this.destroyed) return connection.sendCopyFail(BROKEN);
    this.#waiting = connection;
    this.#ready.resolve(connection);
  }

  handleCommandComplete(): void {}

  handleReadyForQuery(): void {
    this.#done.resolve();
  }

  handleError(error: Error): void {
    this.#waiting = undefined;
    this.#ready.reject(error);
    this.#done.reject(error);
    this.destroy(error);
  }

  override _write(chunk: Uint8Array, _encoding: string, done: (error?: Error) => void): void {
    this.#ready.promise.then((connection) => {
      connection.sendCopyFromChunk(chunk);
      if (connection.stream.writableNeedDrain) connection.stream.once("drain", () => done());
      else done();
    }).catch(done);
  }

  override _final(done: (error?: Error) => void): void {
    this.#ready.promise.then((connection) => {
      this.#waiting = undefined;
      connection.endCopyFrom();
      return this.#done.promise;
    }).then(() => done(), done);
  }

  /** A text that ends early must not count as complete. */
  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#waiting?.sendCopyFail(BROKEN);
    this.#waiting = undefined;
    done(error);
  }
}

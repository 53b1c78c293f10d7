/**
 * COPY over a connection of `pg`, as streams that hold a piece at a time. `pg-copy-streams` (7.0.0) takes the socket's data for itself
 * and never goes on with the second statement under Deno (2.9.6); here `pg` itself reads the messages.
 */
import { Readable, Writable } from "node:stream";
import type pg from "../../db/pg.ts";

/** What of `pg`'s connection a statement of its own kind uses. */
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

/** `copy … from stdin`; the stream has finished when the rows are in. */
export function copyIn(client: pg.Client, text: string): Writable {
  return client.query(new CopyIn(text) as unknown as pg.Submittable & CopyIn);
}

/** A row comes as a message of its own, far too small to be passed on by itself. */
const PIECE_BYTES = 128 * 1024;

class CopyOut extends Readable {
  #connection: Connection | undefined;
  /** Copies, as `pg` reads the next messages into the same memory. */
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

  /** Whoever gives up reading leaves the connection to come to the end. */
  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#connection?.stream.resume();
    done(error);
  }
}

const BROKEN = "The text broke off";

class CopyIn extends Writable {
  /** It waits for the text. */
  #waiting: Connection | undefined;
  readonly #ready = Promise.withResolvers<Connection>();
  readonly #done = Promise.withResolvers<void>();

  constructor(private readonly text: string) {
    super();
    // Told where somebody waits for them.
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

  /** A text that breaks off must not count as whole. */
  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#waiting?.sendCopyFail(BROKEN);
    this.#waiting = undefined;
    done(error);
  }
}

/** The server side of requests over NATS. Long replies are sent in pieces. */
import { headers, type Msg, type NatsConnection, type Subscription } from "@nats-io/nats-core";
import type { Log } from "../log.ts";
import { type Frame, joinFrames, splitFrames } from "./frames.ts";
import { PIECE_HEADER } from "./nats_requests.ts";
import type { Outbox } from "./outbox.ts";

/** The queue group of the servers of a subject. */
const QUEUE = "serving";
/** The length of a piece of a reply, in bytes: half of the default message limit of NATS. */
const PIECE_BYTES = 512 * 1024;
/** UTF-16 code units. Longer replies have a message of their own, and together they are not longer. */
const SHARED_LENGTH = 64 * 1024;
const ENCODER = new TextEncoder();

/** Replies that will share a message. */
interface Batch {
  length: number;
  frames: Frame[];
}

/** Answers the requests for one subject. */
export class NatsServing {
  #current: Subscription | undefined;
  /** By inbox. */
  readonly #open = new Map<string, Batch>();

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
      callback: (error, message) => error ? undefined : this.#receive(connection, message),
    });
  }

  /** Accepts no more requests. Those received before are still answered. */
  async stop(): Promise<void> {
    if (this.#current && !this.#current.isClosed()) await this.#current.drain();
  }

  #receive(connection: NatsConnection, message: Msg): void {
    // `<inbox>.<first token>.<number of requests>`
    const inbox = message.reply?.split(".").slice(0, -2).join(".");
    try {
      if (inbox === undefined) throw new Error("A request has no subject for its reply");
      for (const frame of splitFrames(message.string())) void this.#answer(connection, inbox, frame);
    } catch (error) {
      this.log.error("request failed", { subject: this.subject, error });
    }
  }

  async #answer(connection: NatsConnection, inbox: string, { token, text }: Frame): Promise<void> {
    try {
      this.#reply(connection, inbox, { token, text: await this.handler(text) });
    } catch (error) {
      this.log.error("request handler failed", { subject: this.subject, error });
    }
  }

  #reply(connection: NatsConnection, inbox: string, frame: Frame): void {
    const { length } = frame.text;
    if (length > SHARED_LENGTH) return this.outbox.post(() => this.#sendPieces(connection, inbox, frame));
    const open = this.#open.get(inbox);
    if (open && open.length + length <= SHARED_LENGTH) {
      open.length += length;
      open.frames.push(frame);
      return;
    }
    const batch = { length, frames: [frame] };
    this.#open.set(inbox, batch);
    this.outbox.post(() => {
      if (this.#open.get(inbox) === batch) this.#open.delete(inbox);
      this.#publish(connection, `${inbox}.replies`, ENCODER.encode(joinFrames(batch.frames)));
    });
  }

  #sendPieces(connection: NatsConnection, inbox: string, { token, text }: Frame): void {
    const bytes = ENCODER.encode(text);
    const pieces = Math.ceil(bytes.length / PIECE_BYTES);
    for (let i = 0; i < pieces; i++) {
      const head = headers();
      head.set(PIECE_HEADER, `${token}/${i + 1}/${pieces}`);
      const piece = bytes.subarray(i * PIECE_BYTES, (i + 1) * PIECE_BYTES);
      this.#publish(connection, `${inbox}.pieces`, piece, head);
    }
  }

  #publish(
    connection: NatsConnection,
    subject: string,
    data: Uint8Array,
    head?: ReturnType<typeof headers>,
  ): void {
    try {
      connection.publish(subject, data, head && { headers: head });
    } catch (error) {
      this.log.error("reply failed", { subject: this.subject, error });
    }
  }
}

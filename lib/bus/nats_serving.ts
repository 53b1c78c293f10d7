/** The server side of requests over NATS. Long replies are sent in pieces. */
import { headers, type Msg, type MsgHdrs, type NatsConnection, type Subscription } from "@nats-io/nats-core";
import type { Log } from "../log.ts";
import { type Frame, joinFrames, splitFrames } from "./frames.ts";
import type { Envelope } from "./envelope.ts";
import { PIECE_HEADER, replyContext, requestContext } from "./nats_requests.ts";
import type { Outbox } from "./outbox.ts";

/** The queue group of the servers of a subject. */
const QUEUE = "serving";
/** The length of a piece of a reply, in bytes: half of the default message limit of NATS. */
const PIECE_BYTES = 512 * 1024;
/** UTF-16 code units. Longer replies have a message of their own, and together they are not longer. */
const SHARED_LENGTH = 64 * 1024;
const ENCODER = new TextEncoder();
const DECODER = new TextDecoder();

/** Where replies go: a subject on the way there, and the inbox as the request has it. */
interface Asker {
  address: string;
  inbox: string;
}

/** Replies that will share a message. */
interface Batch {
  length: number;
  frames: Frame[];
}

/** Answers the requests for one subject. */
export class NatsServing {
  #current: Subscription | undefined;
  /** By inbox and address. */
  readonly #open = new Map<string, Batch>();

  constructor(
    private readonly subject: string,
    private readonly handler: (message: string) => Promise<string>,
    private readonly outbox: Outbox,
    private readonly envelope: Envelope,
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

  #receive(connection: NatsConnection, { subject, data, reply }: Msg): void {
    const plain = this.envelope.open(data, requestContext(this.subject), subject);
    if (!plain) return;
    // `<address>.<first token>.<number of requests>`
    const address = reply?.split(".").slice(0, -2).join(".");
    try {
      if (address === undefined) throw new Error("A request has no subject for its reply");
      const text = DECODER.decode(plain);
      const end = text.indexOf("\n");
      const asker = { address, inbox: text.slice(0, end) };
      for (const frame of splitFrames(text.slice(end + 1))) void this.#answer(connection, asker, frame);
    } catch (error) {
      this.log.error("request failed", { subject: this.subject, error });
    }
  }

  async #answer(connection: NatsConnection, asker: Asker, { token, text }: Frame): Promise<void> {
    try {
      this.#reply(connection, asker, { token, text: await this.handler(text) });
    } catch (error) {
      this.log.error("request handler failed", { subject: this.subject, error });
    }
  }

  #reply(connection: NatsConnection, asker: Asker, frame: Frame): void {
    const { length } = frame.text;
    if (length > SHARED_LENGTH) return this.outbox.post(() => this.#sendPieces(connection, asker, frame));
    const key = `${asker.inbox} ${asker.address}`;
    const open = this.#open.get(key);
    if (open && open.length + length <= SHARED_LENGTH) {
      open.length += length;
      open.frames.push(frame);
      return;
    }
    const batch = { length, frames: [frame] };
    this.#open.set(key, batch);
    this.outbox.post(() => {
      if (this.#open.get(key) === batch) this.#open.delete(key);
      this.#publish(connection, asker, ENCODER.encode(joinFrames(batch.frames)));
    });
  }

  #sendPieces(connection: NatsConnection, asker: Asker, { token, text }: Frame): void {
    const bytes = ENCODER.encode(text);
    const pieces = Math.ceil(bytes.length / PIECE_BYTES);
    for (let i = 0; i < pieces; i++) {
      const piece = bytes.subarray(i * PIECE_BYTES, (i + 1) * PIECE_BYTES);
      this.#publish(connection, asker, piece, `${token}/${i + 1}/${pieces}`);
    }
  }

  #publish(connection: NatsConnection, { address, inbox }: Asker, data: Uint8Array, piece?: string): void {
    try {
      const sealed = this.envelope.seal(data, replyContext(inbox, piece));
      connection.publish(
        `${address}.replies`,
        sealed,
        piece === undefined ? undefined : { headers: pieceHeaders(piece) },
      );
    } catch (error) {
      this.log.error("reply failed", { subject: this.subject, error });
    }
  }
}

function pieceHeaders(piece: string): MsgHdrs {
  const head = headers();
  head.set(PIECE_HEADER, piece);
  return head;
}

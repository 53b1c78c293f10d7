/**
 * Messages within a node and between nodes. Postgres is the source of truth and the bus only a notification: a lost
 * message costs time, never data. Two drivers share one contract (`tests/conformance/bus_suite.ts`): in-process, and
 * NATS with JetStream.
 */
export interface Bus extends AsyncDisposable {
  /**
   * Delivers at most once, to current subscribers. Subjects are dot-separated words. Resolves when handed over; rejects
   * with `BusUnavailable`.
   */
  publish(subject: string, message: string): Promise<void>;
  /** A subject may end in `.*` (one word) or `.>` (the rest). Handlers of one subscription run sequentially. */
  subscribe(
    subject: string,
    handler: (message: string, subject: string) => void | Promise<void>,
  ): Promise<Subscription>;
  /**
   * Sends a request to one of the servers of the subject and resolves with its reply. A message over
   * `MAX_REQUEST_BYTES` is a `RangeError`; a reply has no limit. Rejects with `BusUnavailable` if certainly nobody
   * received it (`NobodyThere` if nobody serves the subject), and with `NoReply` if somebody may have.
   */
  request(subject: string, message: string, timeoutMs: number): Promise<string>;
  /**
   * Answers requests for a subject without `*` or `>`, concurrently. Each request goes to one of the servers of the
   * subject. If the handler fails, no reply is sent. Requests received before the subscription ends are still answered.
   */
  serve(subject: string, handler: (message: string) => Promise<string>): Promise<Subscription>;
  /**
   * Appends to a durable stream. A second message with the same `id` within two minutes is dropped. Resolves when
   * stored. The in-process driver keeps the last 10,000 messages of a stream.
   */
  append(stream: StreamName, id: string, message: string): Promise<void>;
  /**
   * Delivers the messages of a stream in order, at least once, to one of the consumers of that `name`. If the handler
   * throws, the message is delivered again after a pause. A new name starts at the oldest message kept, or at the next
   * one. A `passing` name is deleted after a minute without consumers.
   */
  consume(
    stream: StreamName,
    name: string,
    handler: (message: string) => Promise<void>,
    options?: ConsumeOptions,
  ): Promise<Subscription>;
  /** False while messages may be missing, true again after a reconnect. */
  readonly connected: boolean;
  /** Called at each change of `connected`. */
  onStatus(listener: (connected: boolean) => void): void;
}

export interface Subscription extends AsyncDisposable {}

/**
 * Encrypts and authenticates messages, so that only processes with the same key can send and read them. Both need the
 * same `context`.
 */
export interface Sealing {
  seal(plain: Uint8Array, context: string): Uint8Array;
  /** Undefined if it was sealed with another key or for another context, or was changed. */
  open(sealed: Uint8Array, context: string): Uint8Array | undefined;
}

export interface ConsumeOptions {
  /** Where a new name starts: `oldest` by default. */
  from?: "oldest" | "next";
  passing?: boolean;
}

/** `events` is for services, `jobs` carries job ids. */
export type StreamName = "events" | "jobs";

export class BusUnavailable extends Error {
  override readonly name: string = "BusUnavailable";
}

/** Nobody serves the subject. */
export class NobodyThere extends BusUnavailable {
  override readonly name = "NobodyThere";
}

/** No reply in time: whether the request was received is unknown. */
export class NoReply extends Error {
  override readonly name = "NoReply";
}

/** The maximum length of a request, in bytes: half of the default message limit of NATS. */
export const MAX_REQUEST_BYTES = 512 * 1024;

/**
 * Messages between the parts of a node and between nodes. Postgres is the ledger and the bus its doorbell: a lost message
 * costs time, never truth. Two drivers, one contract (`tests/conformance/bus_suite.ts`): in-process and NATS with JetStream.
 */
export interface Bus extends AsyncDisposable {
  /** At most once, to whoever listens now. Subjects are dot-separated words. Resolves when handed over; rejects `BusUnavailable`. */
  publish(subject: string, message: string): Promise<void>;
  /** A subject may end in `.*` (one word) or `.>` (the rest). Handlers of one subscription run one after another. */
  subscribe(
    subject: string,
    handler: (message: string, subject: string) => void | Promise<void>,
  ): Promise<Subscription>;
  /**
   * Asks one of those who serve the subject, and resolves with the reply. A message over `MAX_REQUEST_BYTES` is a
   * `RangeError`; a reply may be of any length. Rejects `BusUnavailable` where surely nobody has received it, `NobodyThere` where that is
   * because nobody serves; `NoReply` where somebody may have.
   */
  request(subject: string, message: string, timeoutMs: number): Promise<string>;
  /**
   * Answers what is asked under a subject without `*` or `>`, any number of requests beside each other; of several who serve it one gets
   * each request. A handler that fails gives no reply. What was received before the end of the subscription is still answered.
   */
  serve(subject: string, handler: (message: string) => Promise<string>): Promise<Subscription>;
  /**
   * Appends to a durable stream; a second message of the same `id` within two minutes is dropped. Resolves when stored.
   * The in-process driver keeps the last 10,000 messages of a stream.
   */
  append(stream: StreamName, id: string, message: string): Promise<void>;
  /**
   * Delivers a stream's messages in order, at least once, to one of the consumers of that `name`; a handler that throws gets the
   * message again after a pause. A new name begins at the oldest message kept, or at the next that comes; a `passing` one is
   * forgotten when nobody has consumed under it for a minute.
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

export interface ConsumeOptions {
  /** Where a new name begins: `oldest` by default. */
  from?: "oldest" | "next";
  passing?: boolean;
}

/** `events` feeds services, `jobs` carries job ids. */
export type StreamName = "events" | "jobs";

export class BusUnavailable extends Error {
  override readonly name: string = "BusUnavailable";
}

/** A request that reached nobody. */
export class NobodyThere extends BusUnavailable {
  override readonly name = "NobodyThere";
}

/** A request without a reply in time: whether it was received is unknown. */
export class NoReply extends Error {
  override readonly name = "NoReply";
}

/** The longest request, in bytes: half of what NATS takes as one message unless set otherwise. */
export const MAX_REQUEST_BYTES = 512 * 1024;

import { Log } from "../log.ts";
import {
  type Bus,
  BusUnavailable,
  type ConsumeOptions,
  MAX_REQUEST_BYTES,
  NobodyThere,
  NoReply,
  type StreamName,
  type Subscription,
} from "./bus.ts";
import { SerialHandler } from "./serial_handler.ts";
import { sleep } from "../sleep.ts";
import { apart } from "../tracing.ts";

const KEPT = 10_000;
const DUPLICATE_WINDOW_MS = 120_000;

export interface LocalBusOptions {
  log?: Log;
  /** Pause before a failed message is delivered again; 1 s by default. */
  retryMs?: number;
}

type Handler = (message: string) => Promise<string>;

/** The in-process driver. It stores nothing on disk. */
export class LocalBus implements Bus {
  readonly connected = true;
  private readonly exact = new Map<string, Set<SerialHandler>>();
  private readonly patterns = new Map<string[], SerialHandler>();
  private readonly servers = new Map<string, Handler[]>();
  private readonly streams: Record<StreamName, LocalStream>;
  private readonly log: Log;
  private closed = false;

  constructor(options: LocalBusOptions = {}) {
    this.log = options.log ?? new Log("warn");
    const make = () => new LocalStream(this.log, options.retryMs ?? 1000);
    this.streams = { events: make(), jobs: make() };
  }

  async publish(subject: string, message: string): Promise<void> {
    if (this.closed) throw new BusUnavailable("The bus is closed");
    this.exact.get(subject)?.forEach((serial) => serial.push(message, subject));
    if (this.patterns.size === 0) return;
    const words = subject.split(".");
    for (const [pattern, serial] of this.patterns) if (matches(pattern, words)) serial.push(message, subject);
  }

  async subscribe(
    subject: string,
    handler: (message: string, subject: string) => void | Promise<void>,
  ): Promise<Subscription> {
    const serial = new SerialHandler(handler, this.log);
    const pattern = subject.split(".");
    const isExact = !pattern.includes("*") && pattern.at(-1) !== ">";
    if (isExact) {
      const serials = this.exact.get(subject) ?? new Set();
      this.exact.set(subject, serials.add(serial));
    } else this.patterns.set(pattern, serial);
    return {
      [Symbol.asyncDispose]: async () => {
        serial.stop();
        this.patterns.delete(pattern);
        const serials = this.exact.get(subject);
        if (isExact && serials?.delete(serial) && serials.size === 0) this.exact.delete(subject);
      },
    };
  }

  async request(subject: string, message: string, timeoutMs: number): Promise<string> {
    if (this.closed) throw new BusUnavailable("The bus is closed");
    const { length } = new TextEncoder().encode(message);
    if (length > MAX_REQUEST_BYTES) throw new RangeError(`A request of ${length} bytes is too long`);
    const [handler] = this.servers.get(subject) ?? [];
    if (!handler) throw new NobodyThere(`Nobody serves ${subject}`);
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const timer = setTimeout(() => reject(new NoReply(`No reply within ${timeoutMs} ms`)), timeoutMs);
    // Never within `request`: a caller must not run the handler.
    void Promise.resolve().then(() => handler(message)).then(
      resolve,
      (error) => this.log.error("request handler failed", { subject, error }),
    );
    return await promise.finally(() => clearTimeout(timer));
  }

  async serve(subject: string, handler: Handler): Promise<Subscription> {
    this.servers.set(subject, [...this.servers.get(subject) ?? [], handler]);
    return {
      [Symbol.asyncDispose]: async () => {
        this.servers.set(subject, this.servers.get(subject)!.filter((each) => each !== handler));
      },
    };
  }

  async append(stream: StreamName, id: string, message: string): Promise<void> {
    if (this.closed) throw new BusUnavailable("The bus is closed");
    this.streams[stream].append(id, message);
  }

  async consume(
    stream: StreamName,
    name: string,
    handler: (message: string) => Promise<void>,
    { from = "oldest" }: ConsumeOptions = {},
  ): Promise<Subscription> {
    return this.streams[stream].consume(name, handler, from);
  }

  /** In one process the connection never changes. */
  onStatus(): void {}

  async [Symbol.asyncDispose](): Promise<void> {
    this.closed = true;
    for (const serials of this.exact.values()) serials.forEach((serial) => serial.stop());
    for (const serial of this.patterns.values()) serial.stop();
    for (const stream of Object.values(this.streams)) stream.close();
  }
}

function matches(pattern: string[], words: string[]): boolean {
  for (let i = 0; i < pattern.length; i++) {
    if (pattern[i] === ">") return words.length > i;
    if (pattern[i] !== "*" && pattern[i] !== words[i]) return false;
  }
  return pattern.length === words.length;
}

/** The consumers of one name share a position. */
interface Group {
  /** Index of the next message, counted from the first of the stream. */
  position: number;
  handlers: ((message: string) => Promise<void>)[];
  running: boolean;
}

class LocalStream {
  private messages: string[] = [];
  /** Number of messages dropped before the first one kept. */
  private dropped = 0;
  private readonly seen = new Map<string, number>();
  private readonly groups = new Map<string, Group>();
  private readonly closing = new AbortController();

  constructor(private readonly log: Log, private readonly retryMs: number) {}

  append(id: string, message: string): void {
    const now = Date.now();
    for (const [old, time] of this.seen) {
      if (now - time < DUPLICATE_WINDOW_MS) break;
      this.seen.delete(old);
    }
    if (this.seen.has(id)) return;
    this.seen.set(id, now);
    this.messages.push(message);
    // In batches, so that not every append moves the array.
    if (this.messages.length > 2 * KEPT) this.dropped += this.messages.splice(0, KEPT).length;
    for (const group of this.groups.values()) apart(() => this.run(group));
  }

  consume(name: string, handler: (message: string) => Promise<void>, from: "oldest" | "next"): Subscription {
    const position = from === "next" ? this.dropped + this.messages.length : 0;
    const group = this.groups.get(name) ?? { position, handlers: [], running: false };
    this.groups.set(name, group);
    group.handlers.push(handler);
    this.run(group);
    return {
      [Symbol.asyncDispose]: async () => {
        group.handlers = group.handlers.filter((each) => each !== handler);
      },
    };
  }

  close(): void {
    this.closing.abort();
  }

  private async run(group: Group): Promise<void> {
    if (group.running) return;
    group.running = true;
    // Never within `append`: a publisher must not run its consumers.
    await undefined;
    while (!this.closing.signal.aborted && group.handlers.length > 0) {
      group.position = Math.max(group.position, this.dropped, this.dropped + this.messages.length - KEPT);
      const message = this.messages[group.position - this.dropped];
      if (message === undefined) break;
      try {
        await group.handlers[group.position % group.handlers.length]!(message);
        group.position++;
      } catch (error) {
        this.log.warnOften("consumer failed, retrying", {}, { error });
        await sleep(this.retryMs, this.closing.signal);
      }
    }
    group.running = false;
  }
}

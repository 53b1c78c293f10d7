import { type ConnectionOptions, type Msg, type NatsConnection, wsconnect } from "@nats-io/nats-core";
import {
  AckPolicy,
  type ConsumerMessages,
  DeliverPolicy,
  jetstream,
  type JetStreamClient,
  jetstreamManager,
  type JsMsg,
  RetentionPolicy,
  StorageType,
} from "@nats-io/jetstream";
import { Log } from "../log.ts";
import {
  type Bus,
  BusUnavailable,
  type ConsumeOptions,
  type Sealing,
  type StreamName,
  type Subscription,
} from "./bus.ts";
import { Envelope } from "./envelope.ts";
import { natsAddress } from "./nats_address.ts";
import { Outbox } from "./outbox.ts";
import { NatsRequests } from "./nats_requests.ts";
import { NatsServing } from "./nats_serving.ts";
import { connectNats } from "./nats_transport.ts";
import { SerialHandler } from "./serial_handler.ts";
import { sleep } from "../sleep.ts";

const STREAMS = {
  events: { name: "ROOKERY_EVENTS", subject: "rookery.events" },
  jobs: { name: "ROOKERY_JOBS", subject: "rookery.jobs" },
};
const MILLISECOND = 1_000_000;
const MAX_AGE_MS = 7 * 24 * 3600 * 1000;
const DUPLICATE_WINDOW_MS = 120_000;
/**
 * A message without acknowledgement for this long is delivered again; a running handler extends the time. A killed
 * server loses its last acknowledgements, so a consumer may be idle for this long after a restart.
 */
const ACK_WAIT_MS = 3000;
/** A `passing` consumer is deleted after this time without use. */
const FORGOTTEN_MS = 60_000;
const CALL_TIMEOUT_MS = 2000;
const RECONNECT_MS = 100;
const ENCODER = new TextEncoder();
const DECODER = new TextDecoder();

export interface NatsBusOptions {
  log?: Log;
  /** The name of the connection in the monitoring of the server. */
  name?: string;
  /** Pause before a failed message is delivered again; 1 s by default. */
  retryMs?: number;
  /** For signals, requests and replies, not for streams: the statistics have no key. Plain if undefined. */
  sealing?: Sealing;
}

/**
 * The driver for NATS: core NATS for signals, JetStream for streams. The constructor returns at once; the connection is
 * made in the background and retried without limit. Without a connection `publish` and `append` reject and
 * subscriptions wait.
 */
export class NatsBus implements Bus {
  connected = false;
  private connection: NatsConnection | undefined;
  private readonly log: Log;
  private readonly retryMs: number;
  private readonly subjects = new Set<Subject>();
  private readonly requests: NatsRequests;
  private readonly servings = new Set<NatsServing>();
  private readonly consumers = new Set<Consumer>();
  private readonly listeners = new Set<(connected: boolean) => void>();
  private readonly running: Promise<void>;
  private readonly outbox = new Outbox();
  private readonly envelope: Envelope;
  private closed = false;

  constructor(private readonly url: string, private readonly options: NatsBusOptions = {}) {
    this.log = options.log ?? new Log("warn");
    this.envelope = new Envelope(options.sealing, this.log);
    this.requests = new NatsRequests(this.envelope, this.log);
    this.retryMs = options.retryMs ?? 1000;
    this.running = this.run();
  }

  async publish(subject: string, message: string): Promise<void> {
    // While it reconnects, the client would buffer messages without limit.
    const connection = this.usable();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.outbox.post(() => {
      try {
        connection.publish(subject, this.envelope.seal(ENCODER.encode(message), signalContext(subject)));
        resolve();
      } catch (error) {
        reject(unavailable(error));
      }
    });
    await promise;
  }

  async subscribe(
    subject: string,
    handler: (message: string, subject: string) => void | Promise<void>,
  ): Promise<Subscription> {
    const own = new Subject(subject, new SerialHandler(handler, this.log), this.envelope);
    this.subjects.add(own);
    if (this.connection) own.attach(this.connection);
    // Wait until the server has the subscription: callers rely on receiving what is published next.
    if (this.connected) await within(CALL_TIMEOUT_MS, this.connection?.flush()).catch(() => {});
    return {
      [Symbol.asyncDispose]: async () => {
        this.subjects.delete(own);
        own.stop();
      },
    };
  }

  async request(subject: string, message: string, timeoutMs: number): Promise<string> {
    return await this.requests.ask(this.usable(), this.outbox, subject, message, timeoutMs);
  }

  async serve(subject: string, handler: (message: string) => Promise<string>): Promise<Subscription> {
    const own = new NatsServing(subject, handler, this.outbox, this.envelope, this.log);
    this.servings.add(own);
    if (this.connection) own.attach(this.connection);
    if (this.connected) await within(CALL_TIMEOUT_MS, this.connection?.flush()).catch(() => {});
    return {
      [Symbol.asyncDispose]: async () => {
        this.servings.delete(own);
        await within(CALL_TIMEOUT_MS, own.stop()).catch(() => {});
      },
    };
  }

  async append(stream: StreamName, id: string, message: string): Promise<void> {
    const store = () =>
      new Promise((resolve, reject) => {
        const client = jetstream(this.usable());
        const options = { msgID: id, timeout: CALL_TIMEOUT_MS };
        this.outbox.post(() => client.publish(STREAMS[stream].subject, message, options).then(resolve, reject));
      });
    try {
      await store().catch(async () => {
        // A server that lost its data has no streams. The same id makes the retry safe.
        await ensureStreams(this.usable());
        await store();
      });
    } catch (error) {
      throw unavailable(error);
    }
  }

  async consume(
    stream: StreamName,
    name: string,
    handler: (message: string) => Promise<void>,
    options: ConsumeOptions = {},
  ): Promise<Subscription> {
    const consumer = new Consumer(stream, name, options, handler, () => this.usable(), this.retryMs, this.log);
    this.consumers.add(consumer);
    return {
      [Symbol.asyncDispose]: async () => {
        this.consumers.delete(consumer);
        await consumer.stop();
      },
    };
  }

  onStatus(listener: (connected: boolean) => void): void {
    this.listeners.add(listener);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    await Promise.all([...this.consumers].map((consumer) => consumer.stop()));
    for (const subject of this.subjects) subject.stop();
    // Flush what was published, but do not wait for a server that hangs.
    if (this.connected) await within(CALL_TIMEOUT_MS, this.connection?.flush()).catch(() => {});
    await this.connection?.close();
    await this.running;
  }

  private usable(): NatsConnection {
    if (!this.connected || !this.connection) throw new BusUnavailable("NATS is unavailable");
    return this.connection;
  }

  /**
   * One connection after another: the client reconnects by itself, but gives up when it is refused, for example by a
   * wrong password.
   */
  private async run(): Promise<void> {
    const options: ConnectionOptions = {
      ...natsAddress(this.url),
      name: this.options.name ?? "rookery",
      maxReconnectAttempts: -1,
      reconnectTimeWait: RECONNECT_MS,
      reconnectJitter: RECONNECT_MS,
      timeout: CALL_TIMEOUT_MS,
      pingInterval: 5000,
      maxPingOut: 2,
    };
    while (!this.closed) {
      try {
        const connection = this.connection =
          await (this.url.startsWith("ws") ? wsconnect(options) : connectNats(options));
        for (const part of [...this.subjects, ...this.servings, this.requests]) part.attach(connection);
        // Before any await, or a change of status would be missed.
        const status = connection.status();
        if (this.closed) await connection.close();
        await this.arrive(connection);
        for await (const change of status) {
          if (change.type === "disconnect") this.change(false);
          else if (change.type === "reconnect") await this.arrive(connection);
        }
        await connection.closed();
      } catch (error) {
        this.log.debug("connection to NATS failed, retrying", { error });
      }
      this.change(false);
      if (!this.closed) await sleep(RECONNECT_MS);
    }
  }

  /** The connection is usable once the server has answered a flush, which follows all subscriptions. */
  private async arrive(connection: NatsConnection): Promise<void> {
    try {
      await within(CALL_TIMEOUT_MS, connection.flush());
      this.change(true);
      await ensureStreams(connection);
    } catch (error) {
      this.log.debug("NATS became unavailable during the handshake", { error });
      // A connection that is only slow would never report a change.
      if (!this.connected) void connection.reconnect().catch(() => {});
    }
    for (const consumer of this.consumers) consumer.renew();
  }

  private change(connected: boolean): void {
    if (this.connected === connected) return;
    this.connected = connected;
    this.log.info(connected ? "connected to NATS" : "lost the connection to NATS");
    for (const listener of this.listeners) listener(connected);
  }
}

/** A core subscription. Within one connection the client renews it. */
class Subject {
  private current: { unsubscribe(): void } | undefined;

  constructor(
    private readonly subject: string,
    private readonly serial: SerialHandler,
    private readonly envelope: Envelope,
  ) {}

  attach(connection: NatsConnection): void {
    if (connection.isClosed()) return;
    this.current = connection.subscribe(this.subject, {
      callback: (error, message) => error ? undefined : this.#receive(message),
    });
  }

  #receive({ subject, data }: Msg): void {
    const plain = this.envelope.open(data, signalContext(subject), subject);
    if (plain) this.serial.push(DECODER.decode(plain), subject);
  }

  stop(): void {
    this.serial.stop();
    this.current?.unsubscribe();
  }
}

/** Pulls messages sequentially. On any failure it starts again. */
class Consumer {
  private messages: ConsumerMessages | undefined;
  private stopped = false;
  private readonly running: Promise<void>;

  constructor(
    private readonly stream: StreamName,
    private readonly name: string,
    private readonly options: ConsumeOptions,
    private readonly handler: (message: string) => Promise<void>,
    private readonly connection: () => NatsConnection,
    private readonly retryMs: number,
    private readonly log: Log,
  ) {
    this.running = this.run();
  }

  /** A restarted server does not know earlier pull requests. */
  renew(): void {
    this.messages?.stop();
  }

  async stop(): Promise<void> {
    this.stopped = true;
    this.messages?.stop();
    await this.running;
  }

  private async run(): Promise<void> {
    while (!this.stopped) {
      try {
        const client = jetstream(this.connection(), { timeout: CALL_TIMEOUT_MS });
        await this.pull(client);
      } catch (error) {
        if (this.stopped) return;
        this.log.debug("consumer failed, restarting", { consumer: this.name, error });
        await sleep(RECONNECT_MS);
      }
    }
  }

  private async pull(client: JetStreamClient): Promise<void> {
    const { name } = STREAMS[this.stream];
    const manager = await client.jetstreamManager(false);
    await manager.consumers.add(name, {
      durable_name: this.name,
      ack_policy: AckPolicy.Explicit,
      ack_wait: ACK_WAIT_MS * MILLISECOND,
      deliver_policy: this.options.from === "next" ? DeliverPolicy.New : DeliverPolicy.All,
      ...(this.options.passing ? { inactive_threshold: FORGOTTEN_MS * MILLISECOND } : {}),
      // In order: the next message only after this one.
      max_ack_pending: 1,
    });
    const consumer = await client.consumers.get(name, this.name);
    while (!this.stopped) {
      this.messages = await consumer.fetch({ max_messages: 256, expires: 5000 });
      for await (const message of this.messages) {
        await this.handle(message);
        if (this.stopped) return;
      }
    }
  }

  private async handle(message: JsMsg): Promise<void> {
    const alive = setInterval(() => {
      // Without a connection the server delivers the message again.
      if (!this.stopped) attempt(() => message.working());
    }, ACK_WAIT_MS / 3);
    let handled = true;
    try {
      await this.handler(message.string());
    } catch (error) {
      handled = false;
      this.log.warnOften("consumer failed, retrying", { consumer: this.name }, { error });
    } finally {
      clearInterval(alive);
    }
    attempt(() => handled ? message.ack() : message.nak(this.retryMs));
  }
}

function signalContext(subject: string): string {
  return `signal ${subject}`;
}

function attempt(send: () => void): void {
  try {
    send();
  } catch {
    // The connection is closed.
  }
}

async function ensureStreams(connection: NatsConnection): Promise<void> {
  const manager = await jetstreamManager(connection, { timeout: CALL_TIMEOUT_MS, checkAPI: false });
  for (const { name, subject } of Object.values(STREAMS)) {
    await manager.streams.add({
      name,
      subjects: [subject],
      retention: RetentionPolicy.Limits,
      storage: StorageType.File,
      max_age: MAX_AGE_MS * MILLISECOND,
      duplicate_window: DUPLICATE_WINDOW_MS * MILLISECOND,
    });
  }
}

function unavailable(error: unknown): BusUnavailable {
  if (error instanceof BusUnavailable) return error;
  return new BusUnavailable(error instanceof Error ? error.message : String(error));
}

async function within(ms: number, work: Promise<void> | undefined): Promise<void> {
  const { promise, reject } = Promise.withResolvers<void>();
  const timer = setTimeout(() => reject(new Error(`No answer within ${ms} ms`)), ms);
  await Promise.race([work, promise]).finally(() => clearTimeout(timer));
}

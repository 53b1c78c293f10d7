import type { SequencedEvent } from "../db/event.ts";
import { replay, sequencerState } from "../db/events.ts";
import { listenerSnapshot } from "../db/feed.ts";
import type { Reader } from "../db/sql.ts";
import type { Log } from "../lib/log.ts";
import type { Caller } from "../actors/account_cache.ts";
import { AccountChecks } from "./account_checks.ts";
import { CLOSE, Connection, type Socket } from "./connection.ts";
import { encodeLiveCursor, type LiveCursor } from "./cursor.ts";
import type { EventStream } from "./event_stream.ts";
import { concerns, Frame, hides, reachesListeners, type Shown } from "./frames.ts";
import { CatchUps } from "./catch_ups.ts";
import { type GatewayItem, GatewayQueue } from "./gateway_queue.ts";
import { Listeners } from "./listeners.ts";
import { ShownReader } from "./shown.ts";
import { Semaphore } from "../lib/semaphore.ts";
import { sleep, within } from "../lib/sleep.ts";

/** Seconds between heartbeats, and of silence before a peer is pinged. Sent in `hello`. */
export const HEARTBEAT_S = 30;
/** Events read at once by a replay. */
const REPLAY_PAGE = 500;
/**
 * Frames sent to a catching-up socket between checks of its queue. That many frames of the longest posts fit the queue.
 */
const FRAME_BATCH = 16;
/**
 * Listeners that read Postgres at the same time to catch up. Others wait, but never for a socket that is slow to
 * receive what was read.
 */
const JOIN_CONCURRENCY = 16;

/**
 * Events that wait for the gateway, because what their frames show cannot be read. Beyond it all sockets are closed;
 * their clients resume from Postgres.
 */
export const MAX_QUEUED_EVENTS = 65_536;

/** How long a stopping node waits for its sockets to close. */
const GOODBYE_MS = 1_000;

/** How long the acknowledgement of a block waits for this node's listeners. After that, affected sockets are closed. */
const FLUSH_MS = 2_000;

/** The lease of a single node: no other node waits for its end. */
const PERMANENT_LEASE = { holds: true };

/**
 * The node's open sockets. One loop processes event batches and joining sockets in sequence, so a socket goes live
 * between two batches: its replay ends exactly where its live stream begins.
 */
export class Gateway implements AsyncDisposable {
  #listeners = new Listeners();
  #queue = new GatewayQueue();
  #looping = false;
  /** The last event that the loop has processed. */
  #position: number;
  #waiters: { seq: number; resolve: () => void }[] = [];
  #joiners = new CatchUps();
  /** Those that are being sent something now. */
  #sending = new Map<Connection, Promise<void>>();
  #joining = new Semaphore({ concurrency: JOIN_CONCURRENCY });
  #closed = false;
  readonly accounts: AccountChecks;
  readonly #shown: ShownReader;
  readonly #heart: ReturnType<typeof setInterval>;
  readonly stats = { frames: 0, resets: 0, tooSlow: 0 };

  constructor(
    private readonly sql: Reader,
    private readonly stream: EventStream,
    private readonly log: Log,
    private readonly lease: { readonly holds: boolean; readonly leftMs?: number } = PERMANENT_LEASE,
    private readonly heartbeatMs = HEARTBEAT_S * 1_000,
  ) {
    this.#position = stream.position;
    this.accounts = new AccountChecks(sql, this.#listeners, log);
    this.#shown = new ShownReader(sql, log);
    this.#heart = setInterval(() => this.#listeners.size > 0 && this.#enqueue({ beats: true }), heartbeatMs);
  }

  /** The stream's next events. */
  offer(events: SequencedEvent[]): void {
    // A socket that is registered later reads its pages later, so these events need not be processed for it.
    if (this.#listeners.size === 0) return this.#enqueue({ position: events.at(-1)!.seq });
    this.#enqueue({ events });
    if (this.queuedEvents <= MAX_QUEUED_EVENTS) return;
    this.log.warn("live events delayed too long, sockets closed", { sockets: this.#listeners.size });
    this.closeAll();
  }

  /** Events that wait to be sent to listeners. */
  get queuedEvents(): number {
    return this.#queue.events;
  }

  get sockets(): number {
    return this.#listeners.size;
  }

  socketsOf(userId: string): number {
    return this.#listeners.countOf(userId);
  }

  /** The accounts with open sockets, with their number. */
  socketCounts(): Iterable<[userId: string, sockets: number]> {
    return this.#listeners.counts();
  }

  /** Milliseconds; undefined if the node needs no lease. */
  get leaseLeftMs(): number | undefined {
    return this.lease.leftMs;
  }

  get heartbeatS(): number {
    return Math.ceil(this.heartbeatMs / 1_000);
  }

  /** Whether it accepts listeners now. */
  get takes(): boolean {
    return !this.#closed && this.lease.holds;
  }

  /**
   * Accepts an open socket: sends `hello`, then the events missed since `cursor`, then new events. `still` is asked
   * after the socket is registered, because the session may have ended in between.
   */
  async join(
    socket: Socket,
    caller: Caller,
    cursor: LiveCursor | undefined,
    still: () => Promise<boolean>,
  ): Promise<Connection> {
    const connection = new Connection(socket, caller.id, caller.sid, caller.role !== "user", this.lease);
    if (!this.takes) {
      connection.close(CLOSE.restarting, "try again");
      return connection;
    }
    this.#listeners.add(connection);
    if (!await still()) {
      connection.close(CLOSE.sessionEnded, "session ended");
      return connection;
    }
    try {
      await this.#catchUp(connection, cursor);
    } catch (error) {
      this.log.warnOften("listener failed to join", {}, { error });
      connection.close(CLOSE.restarting, "try again");
    } finally {
      this.#joiners.remove(connection);
    }
    return connection;
  }

  /** The socket is gone. May be called more than once. */
  leave(connection: Connection): void {
    connection.close(1000, "");
    this.#listeners.remove(connection);
    if (this.#listeners.size === 0) this.#queue.forgetEvents();
  }

  /** Closes all sockets, because this node may not send to them any more. Clients reconnect to this node or another. */
  closeAll(): void {
    for (const connection of this.#listeners.all()) {
      connection.close(CLOSE.restarting, "reconnect with the last cursor");
      this.leave(connection);
    }
  }

  /**
   * Resolves when everything committed before the call has reached every socket of this node: none receives anything
   * more of a page hidden by then. Sockets that are too slow are closed with 4408.
   */
  async flush(): Promise<void> {
    if (this.#listeners.size === 0) return;
    const { seq } = await sequencerState(this.sql);
    await this.stream.applied(seq);
    if (await within(FLUSH_MS, this.#processed(seq).then(() => true))) return;
    const closed = this.#behind(seq);
    for (const connection of closed) {
      connection.close(CLOSE.tooSlow, "too slow: reconnect with the last cursor");
      this.leave(connection);
    }
    this.log.warn("listeners too slow for a block, sockets closed", { sockets: closed.length });
  }

  /** Asks every listener to reconnect. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#heart);
    this.#shown.close();
    for (const { resolve } of this.#waiters.splice(0)) resolve();
    for (const connection of this.#listeners.all()) connection.close(CLOSE.restarting, "the node is restarting");
    // The frames must be sent before the server closes the sockets with 1001.
    for (const end = Date.now() + GOODBYE_MS; this.#listeners.size > 0 && Date.now() < end;) {
      await sleep(10);
    }
  }

  /** Resolves when the loop has processed the event and every read in progress was sent. */
  async #processed(seq: number): Promise<void> {
    if (this.#position < seq && !this.#closed) {
      await new Promise<void>((resolve) => this.#waiters.push({ seq, resolve }));
    }
    await Promise.allSettled(this.#sending.values());
    await Promise.all(this.#listeners.all().map((connection) => connection.flushed()));
  }

  /**
   * Sockets that may still receive something that events up to this one hide. If those events are unknown, all but
   * staff's.
   */
  #behind(seq: number): Connection[] {
    const late = this.stream.position < seq ? undefined : this.stream.since(this.#position);
    const hidden = late?.filter(hides).map((event) => event.page_id!);
    return this.#listeners.all().filter((connection) =>
      !connection.staff &&
      (!hidden || this.#sending.has(connection) || hidden.some((page) => connection.pages.has(page)))
    );
  }

  async #catchUp(connection: Connection, cursor: LiveCursor | undefined): Promise<void> {
    let head = await this.#readPages(connection);
    const reason = cursor && await this.#joining.run(() => this.#resetReason(cursor, head));
    const start = cursor && !reason ? cursor.seq : head;
    connection.send(JSON.stringify({ type: "hello", cursor: this.#cursor(start), heartbeat_s: this.heartbeatS }));
    if (reason) {
      this.stats.resets++;
      connection.send(JSON.stringify({ type: "reset", reason }));
    }
    connection.from = start;
    for (;;) {
      // The replay uses the same pages with which the live stream starts.
      if (!await this.#replay(connection, head)) return;
      if (await new Promise<boolean>((done) => this.#enqueue({ joins: connection, done }))) return;
      head = await this.#readPages(connection);
    }
  }

  /** Returns the event as of which they are known. */
  #readPages(connection: Connection): Promise<number> {
    const read = () => listenerSnapshot(this.sql, connection.userId);
    return this.#joining.run(() => this.#joiners.know(connection, read));
  }

  async #resetReason(cursor: LiveCursor, head: number): Promise<string | undefined> {
    const { epoch, floor } = await sequencerState(this.sql);
    if (cursor.historyId !== epoch) return "foreign";
    if (cursor.seq > Math.max(head, this.stream.position)) return "future";
    if (cursor.seq < floor) return "too-old";
  }

  async #replay(connection: Connection, upTo: number): Promise<boolean> {
    const filter = { user: connection.userId, upTo, limit: REPLAY_PAGE };
    while (connection.from < upTo) {
      let events: SequencedEvent[] | undefined;
      let rest: SequencedEvent[] = [];
      do {
        // A page is read and sent in one place, so that only slow sockets keep the rest of one.
        [events, rest] = await this.#joining.run(async () => {
          const page = events ?? await replay(this.sql, { ...filter, after: connection.from });
          return [page, await this.#sendReplayed(connection, events ? rest : page)];
        });
        if (!await connection.drained()) return false;
      } while (rest.length > 0);
      connection.from = events.length < REPLAY_PAGE ? upTo : events.at(-1)!.seq;
    }
    return connection.open;
  }

  /** Sends events of a replay as long as the socket takes them. Returns the others. */
  async #sendReplayed(connection: Connection, events: SequencedEvent[]): Promise<SequencedEvent[]> {
    for (let i = 0; i < events.length; i += FRAME_BATCH) {
      if (!connection.open || !connection.isDrained) return events.slice(i);
      const sending = this.#send(events.slice(i, i + FRAME_BATCH), connection);
      this.#sending.set(connection, sending);
      await sending.finally(() => this.#sending.delete(connection));
    }
    return [];
  }

  #enqueue(item: GatewayItem): void {
    this.#queue.push(item);
    if (this.#looping) return;
    this.#looping = true;
    void this.#loop();
  }

  async #loop(): Promise<void> {
    for (let item = this.#queue.shift(); item; item = this.#queue.shift()) {
      if ("joins" in item) item.done(await this.#makeLive(item.joins));
      else if ("beats" in item) this.#beat();
      else if ("position" in item) this.#position = item.position;
      else await this.#take(item.events);
      this.#release();
    }
    // No `await` since the queue was empty, so the next item starts the loop again.
    this.#looping = false;
  }

  /** Renews the cursors of all sockets that received everything up to here. */
  #beat(): void {
    const frame = JSON.stringify({ type: "heartbeat", cursor: this.#cursor(this.#position) });
    for (const connection of this.#listeners.all()) if (connection.live) this.#write(connection, frame);
  }

  #release(): void {
    const waiting = this.#waiters;
    this.#waiters = waiting.filter(({ seq }) => seq > this.#position);
    for (const { seq, resolve } of waiting) if (seq <= this.#position) resolve();
  }

  /**
   * Between two batches: brings a joining socket to the loop's position. False if too much is missing; it then replays
   * again.
   */
  async #makeLive(connection: Connection): Promise<boolean> {
    if (!connection.open) return true;
    if (connection.from < this.#position) {
      const missed = this.stream.since(connection.from)?.filter((event) => event.seq <= this.#position);
      // A long gap is replayed outside the loop, so that a slow socket delays nobody.
      const due = missed?.filter((event) => reachesListeners(event) && concerns(connection, event)).length ?? 0;
      if (!missed || due > FRAME_BATCH) return false;
      for (const event of missed) {
        // Sent before it is followed, so that the last frame of a hidden page still goes out.
        if (reachesListeners(event) && concerns(connection, event)) await this.#send([event], connection);
        // It was closed meanwhile: what it follows is forgotten, and would be kept for ever.
        if (!connection.open) return true;
        this.#listeners.follow(event, [connection]);
      }
      connection.from = this.#position;
    }
    this.#listeners.goLive(connection);
    return true;
  }

  async #take(events: SequencedEvent[]): Promise<void> {
    // Whose session ended by one of these events receives none of them.
    if (events.some((event) => this.accounts.isConcerned(event))) await this.accounts.finish().catch(() => {});
    // A page that somebody starts to follow in this batch has an audience for the rest of it.
    const coming = new Set(
      events.filter((event) => event.user_id && this.#listeners.countOf(event.user_id) > 0).map((e) => e.page_id),
    );
    const shown = await this.#shown.read(
      events.filter((event) => coming.has(event.page_id) || this.#listeners.audienceOf(event).length > 0),
      // Nobody goes live before this batch is delivered.
      () => this.#listeners.hasLive(),
    );
    for (const event of events) {
      const connections = this.#listeners.audienceOf(event);
      this.#joiners.follow(event, connections);
      const audience = connections.filter((connection) => connection.live && event.seq > connection.from);
      if (audience.length === 0) continue;
      if (reachesListeners(event)) this.#deliver(event, shown, audience);
      this.#listeners.follow(event, audience);
    }
    this.#position = events.at(-1)!.seq;
  }

  /** To a socket that is not live yet. */
  async #send(events: SequencedEvent[], connection: Connection): Promise<void> {
    const shown = await this.#shown.read(events, () => connection.open);
    for (const event of events) {
      // The page may have been withdrawn since the events were read.
      if (concerns(connection, event)) this.#put(connection, new Frame(event, shown, this.stream.historyId));
    }
  }

  #deliver(event: SequencedEvent, shown: Shown, audience: Connection[]): void {
    const frame = new Frame(event, shown, this.stream.historyId);
    for (const connection of audience) {
      if (concerns(connection, event)) this.#put(connection, frame);
    }
  }

  #put(connection: Connection, frame: Frame): void {
    const text = frame.for(connection);
    if (text === undefined) return;
    this.stats.frames++;
    this.#write(connection, text, frame.paced);
  }

  #write(connection: Connection, text: string, paced?: string): void {
    const wasOpen = connection.open;
    if (connection.send(text, paced) || !wasOpen) return;
    this.stats.tooSlow++;
    // A peer that does not read does not close either, so its place is freed at once.
    this.leave(connection);
  }

  #cursor(seq: number): string {
    return encodeLiveCursor({ historyId: this.stream.historyId, seq });
  }
}

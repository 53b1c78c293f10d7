import type { Redis } from "ioredis";
import { MAX_WAITING } from "./queue.ts";
import { backoff } from "../../lib/backoff.ts";

const GROUP = "crop";
/** How long a read waits for an id; a consumer that stops waits for its last read. */
const BLOCK_MS = 400;
const RETRY_BACKOFF = backoff({ firstMs: 50, maxMs: 1_000 });
/** Consumers without ids for this many idle times are deleted. A live one is registered again with its next id. */
const FORGET_AFTER = 10;

/** An id and its position in the stream. */
interface Entry {
  at: string;
  id: string;
}

/**
 * A consumer of the stream. It claims its running ids again every quarter of the idle time, so that a job may take any
 * time, and the idle time only determines when the ids of a dead consumer are taken over. Missing streams and groups
 * are created again; other failures are retried with growing pauses.
 */
export class RedisJobConsumer implements AsyncDisposable {
  #name = crypto.randomUUID();
  #reader: Redis;
  /** Not by position: after a FLUSHALL in the same millisecond another id may have the same one. */
  #running = new Map<Entry, Promise<void>>();
  #claimAt = 0;
  #claimFrom = "0-0";
  #failures = 0;
  #wake = () => {};
  #touching: ReturnType<typeof setInterval>;
  #looping: Promise<void>;
  #disposed: Promise<void> | undefined;

  /** `redis` is for calls with an immediate answer; blocking reads get another connection. */
  constructor(
    private readonly redis: Redis,
    private readonly stream: string,
    private readonly idleMs: number,
    private readonly work: (id: string) => Promise<void>,
    private readonly concurrency: number,
  ) {
    const timeout = BLOCK_MS + (redis.options.commandTimeout ?? 0);
    this.#reader = redis.duplicate({ commandTimeout: timeout, socketTimeout: timeout });
    this.#reader.on("error", () => {});
    this.#touching = setInterval(() => void this.#touch(), idleMs / 4);
    this.#looping = this.#loop();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#disposed ??= this.#leave();
  }

  async #loop(): Promise<void> {
    while (!this.#disposed) {
      const free = this.concurrency - this.#running.size;
      if (free <= 0) await this.#sleep();
      else await this.#take(free);
    }
  }

  async #take(most: number): Promise<void> {
    try {
      const entries = Date.now() >= this.#claimAt ? await this.#claim(most) : await this.#read(most);
      this.#failures = 0;
      if (this.#disposed) await this.#giveBack(entries);
      else for (const entry of entries) this.#running.set(entry, this.#run(entry));
    } catch (error) {
      this.#failures++;
      if (this.#disposed) return;
      const message = error instanceof Error ? error.message : "";
      if (message.startsWith("NOGROUP")) await this.#makeGroup();
      await this.#sleep(RETRY_BACKOFF(this.#failures));
    }
  }

  async #read(most: number): Promise<Entry[]> {
    const place = ["STREAMS", this.stream, ">"] as const;
    const reply = await this.#reader.xreadgroup("GROUP", GROUP, this.#name, "COUNT", most, "BLOCK", BLOCK_MS, ...place);
    const [ours] = (reply ?? []) as [key: string, entries: unknown][];
    return entriesIn(ours?.[1]);
  }

  /** Ids of dead consumers. If there are more than fit now, the next call continues there. */
  async #claim(most: number): Promise<Entry[]> {
    const [next, entries] = await this.redis.xautoclaim(
      this.stream,
      GROUP,
      this.#name,
      this.idleMs,
      this.#claimFrom,
      "COUNT",
      most,
    ) as [string, unknown];
    this.#claimFrom = next;
    if (next === "0-0") {
      await this.#forgetDead();
      this.#claimAt = Date.now() + this.idleMs / 4;
    }
    // While Redis was unavailable nothing could be claimed.
    const running = [...this.#running.keys()];
    return entriesIn(entries).filter(({ at, id }) => !running.some((own) => own.at === at && own.id === id));
  }

  async #forgetDead(): Promise<void> {
    for (const fields of await this.redis.xinfo("CONSUMERS", this.stream, GROUP) as (string | number)[][]) {
      const of = (field: string) => fields[fields.indexOf(field) + 1]!;
      if (of("pending") !== 0 || Number(of("idle")) < this.idleMs * FORGET_AFTER) continue;
      await this.redis.xgroup("DELCONSUMER", this.stream, GROUP, String(of("name")));
    }
  }

  async #run(entry: Entry): Promise<void> {
    try {
      await this.work(entry.id);
    } catch {
      // The worker reports errors; here the id is done.
    }
    await this.#acknowledge(entry).catch(() => {
      // It is claimed again later, and found done.
    });
    this.#running.delete(entry);
    this.#wake();
  }

  /**
   * An id unknown to the group is not deleted: after a FLUSHALL it may be another id at the same position that nobody
   * has taken.
   */
  async #acknowledge({ at }: Entry): Promise<void> {
    if (await this.redis.xack(this.stream, GROUP, at) > 0) await this.redis.xdel(this.stream, at);
  }

  async #touch(): Promise<void> {
    if (this.#running.size === 0) return;
    const places = [...this.#running.keys()].map(({ at }) => at);
    await this.redis.xclaim(this.stream, GROUP, this.#name, 0, ...places, "JUSTID").catch(() => {});
  }

  async #makeGroup(): Promise<void> {
    // From the start of the stream, which may have ids already. Fails if another consumer was faster.
    await this.redis.xgroup("CREATE", this.stream, GROUP, "0", "MKSTREAM").catch(() => {});
  }

  /** For the next consumer, at once: otherwise they would wait for the idle time. */
  async #giveBack(entries: Entry[]): Promise<void> {
    if (entries.length === 0) return;
    const added = entries.map(({ id }) => this.redis.xadd(this.stream, "MAXLEN", "~", MAX_WAITING, "*", "job", id));
    await Promise.all(added);
    await Promise.all(entries.map((entry) => this.#acknowledge(entry)));
  }

  async #leave(): Promise<void> {
    this.#wake();
    await this.#looping;
    this.#reader.disconnect();
    await Promise.all(this.#running.values());
    clearInterval(this.#touching);
    // An unavailable Redis is not waited for; another consumer deletes this one.
    if (this.#failures === 0) await this.#resign().catch(() => {});
  }

  async #resign(): Promise<void> {
    const pending = await this.redis.xpending(this.stream, GROUP, "-", "+", 1, this.#name);
    if (pending.length === 0) await this.redis.xgroup("DELCONSUMER", this.stream, GROUP, this.#name);
  }

  /** Until something may have changed, or the time is over. */
  #sleep(ms?: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = ms === undefined ? undefined : setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

/** The entries of a reply; those that were deleted meanwhile are missing. */
function entriesIn(reply: unknown): Entry[] {
  const entries = (reply ?? []) as ([at: string, fields: string[] | null] | null)[];
  return entries.flatMap((entry) => entry?.[1]?.[1] ? [{ at: entry[0], id: entry[1][1] }] : []);
}

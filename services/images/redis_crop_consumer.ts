import type { Redis } from "ioredis";
import { MAX_WAITING } from "./crop_queue.ts";
import { backoff } from "../../lib/backoff.ts";

const GROUP = "crop";
/** How long a read waits for an id: a consumer that stops waits for its last read. */
const BLOCK_MS = 400;
const RETRY_BACKOFF = backoff({ firstMs: 50, maxMs: 1_000 });
/** Consumers that were given nothing for so many idle times are forgotten; one that lives is known again by its next id. */
const FORGET_AFTER = 10;

/** An id, and where in the stream it stands. */
interface Entry {
  at: string;
  id: string;
}

/**
 * One consumer of the stream. What it works on it touches every quarter of the idle time, so that a crop may take as long as it
 * likes and the idle time says only how long a dead consumer's ids lie. Stream and group are made anew whenever they are missing;
 * any other failure is tried again with growing pauses.
 */
export class RedisCropConsumer implements AsyncDisposable {
  #name = crypto.randomUUID();
  #reader: Redis;
  /** Not by their place in the stream: after a FLUSHALL in the same millisecond another id may stand there. */
  #running = new Map<Entry, Promise<void>>();
  #claimAt = 0;
  #claimFrom = "0-0";
  #failures = 0;
  #wake = () => {};
  #touching: ReturnType<typeof setInterval>;
  #looping: Promise<void>;
  #disposed: Promise<void> | undefined;

  /** `redis` is for calls that answer at once; reads get a connection like it. */
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
      const told = error instanceof Error ? error.message : "";
      if (told.startsWith("NOGROUP")) await this.#makeGroup();
      await this.#sleep(RETRY_BACKOFF(this.#failures));
    }
  }

  async #read(most: number): Promise<Entry[]> {
    const place = ["STREAMS", this.stream, ">"] as const;
    const reply = await this.#reader.xreadgroup("GROUP", GROUP, this.#name, "COUNT", most, "BLOCK", BLOCK_MS, ...place);
    const [ours] = (reply ?? []) as [key: string, entries: unknown][];
    return entriesIn(ours?.[1]);
  }

  /** What dead consumers left. Where it is more than can be taken now, the next look goes on from there. */
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
    // While Redis was away nothing could be touched.
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
      // What went wrong is the worker's to tell; here the id is done with.
    }
    await this.#acknowledge(entry).catch(() => {
      // It is claimed once more later, by somebody who finds it done.
    });
    this.#running.delete(entry);
    this.#wake();
  }

  /** What the group does not know is not deleted: after a FLUSHALL it may be another id at the same place, which nobody has taken yet. */
  async #acknowledge({ at }: Entry): Promise<void> {
    if (await this.redis.xack(this.stream, GROUP, at) > 0) await this.redis.xdel(this.stream, at);
  }

  async #touch(): Promise<void> {
    if (this.#running.size === 0) return;
    const places = [...this.#running.keys()].map(({ at }) => at);
    await this.redis.xclaim(this.stream, GROUP, this.#name, 0, ...places, "JUSTID").catch(() => {});
  }

  async #makeGroup(): Promise<void> {
    // From the stream's start, where ids may stand already. Fails where another consumer was faster.
    await this.redis.xgroup("CREATE", this.stream, GROUP, "0", "MKSTREAM").catch(() => {});
  }

  /** For the next consumer, at once: in this one's name they would lie for the idle time. */
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
    // A Redis that is away is not waited for; another consumer forgets this one.
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

/** Of a reply of Redis; entries that were deleted while they waited are missing. */
function entriesIn(reply: unknown): Entry[] {
  const entries = (reply ?? []) as ([at: string, fields: string[] | null] | null)[];
  return entries.flatMap((entry) => entry?.[1]?.[1] ? [{ at: entry[0], id: entry[1][1] }] : []);
}

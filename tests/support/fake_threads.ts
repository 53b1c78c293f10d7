/** A pool whose workers are this test: it reads what they are sent and says what they answer. */
import { setImmediate } from "node:timers";
import { type HostThread, Pool } from "../../actors/runtime/pool.ts";
import type { FromWorker, ToWorker } from "../../actors/runtime/protocol.ts";
import type { SequencedEvent } from "../../db/event.ts";
import { Log } from "../../lib/log.ts";

const quiet = new class extends Log {
  override error() {}
}("error");

export class FakeThread implements HostThread {
  readonly got: ToWorker[] = [];
  terminated = false;
  #listen: ((messages: FromWorker[]) => void) | undefined;
  #died: ((reason: string) => void) | undefined;

  post(messages: ToWorker[]): void {
    this.got.push(...messages);
  }
  onMessages(listener: (messages: FromWorker[]) => void): void {
    this.#listen = listener;
    // It came before the pool listened.
    listener([{ type: "ready" }]);
  }
  onDeath(listener: (reason: string) => void): void {
    this.#died = listener;
  }
  terminate(): void {
    this.terminated = true;
  }

  say(...messages: FromWorker[]): void {
    this.#listen!(messages);
  }
  die(): void {
    this.#died!("expected");
  }

  /** The calls it has, oldest first. */
  get calls(): Extract<ToWorker, { type: "ask" }>[] {
    return this.got.filter((message) => message.type === "ask");
  }
}

export class FakePool implements AsyncDisposable {
  pool!: Pool;
  readonly threads: FakeThread[] = [];
  readonly lease = { holds: true };
  readonly reports = { events: [] as SequencedEvent[][], outdated: [] as number[], replaced: 0 };
  /** Starting a thread waits for it. */
  gate: Promise<void> | undefined;
  /** Waits of replies for the node's caches. */
  readonly waits: { seq: number; done: () => void }[] = [];

  static async start(threads = 1, log: Log = quiet): Promise<FakePool> {
    const world = new FakePool();
    world.pool = await Pool.start({
      threads,
      start: async () => {
        await world.gate;
        const thread = new FakeThread();
        world.threads.push(thread);
        return thread;
      },
      lease: world.lease,
      log,
      onCommitted: (events) => world.reports.events.push(events),
      applied: (seq) => new Promise((done) => world.waits.push({ seq, done })),
      onJobs: () => {},
      onOutdated: (partition) => world.reports.outdated.push(partition),
      onReplaced: () => world.reports.replaced++,
    });
    return world;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.pool[Symbol.asyncDispose]();
  }
}

/** When messages posted before have arrived. */
export const posted = () => new Promise((resolve) => setImmediate(resolve));

import type { Bus, Subscription } from "../lib/bus/bus.ts";
import type { JobRef } from "../db/jobs.ts";
import type { Log } from "../lib/log.ts";

/** Older messages are ignored, because a sweep has found their jobs. */
const FRESH_MS = 30_000;

interface Message {
  /** Installations may share a bus. */
  history: string;
  at: number;
  jobs: JobRef[];
}

/**
 * Sends the ids of due jobs to one process of each crew, over JetStream or within this process. Lost messages are
 * covered by a sweep within a second, so an unavailable bus is not an error.
 */
export class JobNotifier implements AsyncDisposable {
  readonly #listeners: ((jobs: JobRef[]) => void)[] = [];
  readonly #subscriptions: Subscription[] = [];

  constructor(private readonly bus: Bus, private readonly history: string, private readonly log: Log) {}

  /** Processes of a crew run the same kinds of jobs. Each message goes to one of them. */
  async subscribe(crew: string, listener: (jobs: JobRef[]) => void): Promise<void> {
    this.#listeners.push(listener);
    this.#subscriptions.push(
      await this.bus.consume("jobs", `ring-${crew}-${this.history}`, async (text) => {
        const message = readMessage(text);
        if (message?.history === this.history && Date.now() - message.at < FRESH_MS) listener(message.jobs);
      }, { from: "next", passing: true }),
    );
  }

  notify(jobs: readonly JobRef[]): void {
    if (jobs.length === 0) return;
    const message: Message = { history: this.history, at: Date.now(), jobs: [...jobs] };
    this.bus.append("jobs", crypto.randomUUID(), JSON.stringify(message)).catch((error) => {
      this.log.debug("bus unavailable, offering jobs locally", { error });
      for (const listen of this.#listeners) listen(message.jobs);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const subscription of this.#subscriptions) await subscription[Symbol.asyncDispose]();
  }
}

/** Undefined for a message of a stranger: streams are not sealed. It must not hold up the ones after it. */
function readMessage(text: string): Message | undefined {
  try {
    const message = JSON.parse(text) as Message | null;
    return message?.jobs.every(({ kind, id }) => typeof kind === "string" && typeof id === "string")
      ? message
      : undefined;
  } catch {
    return undefined;
  }
}

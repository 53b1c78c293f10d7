/** A client that repeats a request at the next node until it succeeds, and what it then knows. */
import assert from "node:assert/strict";
import { sleep } from "../../lib/sleep.ts";
import { type Answer, call, type Json } from "./api.ts";
import type { NodeProcess } from "./node_process.ts";
import type { Person } from "./person.ts";
import type { Seeded } from "./seeded.ts";
import { until } from "./wait.ts";

/** How long it waits for one answer before it asks another node: as long as a lease, after which others answer. */
const TIMEOUT_MS = 2_500;
const RETRY_MS = 25;
/** No fault lasts as long. */
const GIVE_UP_MS = 60_000;
/** Refusals of a node that is busy, stopping or without a server it needs. */
const PASSING = [503, 504];
/** An earlier attempt is still in progress. */
const RUNNING = "idempotency-key-running";

export interface Write {
  body: Json;
  /** When it was acknowledged. */
  at: number;
  /** No attempt is open any more: a frozen node may answer one that was given up, after it resumes. */
  settled: Promise<unknown>;
}

export class PatientClient {
  /** When each write was acknowledged whose answer waits for its commit only. */
  readonly acknowledged: number[] = [];
  writes = 0;
  /** The longest time from the first attempt of a write to its acknowledgement. */
  slowest = 0;
  #open = new Set<Promise<unknown>>();

  constructor(private readonly random: Seeded, readonly nodes: readonly NodeProcess[]) {}

  /** `isSlow`: its answer waits for more than the commit. It counts as a write, and its times do not. */
  async write(person: Person, method: string, path: string, body?: unknown, isSlow = false): Promise<Write> {
    const start = performance.now();
    const headers: Record<string, string> = method === "POST" ? { "idempotency-key": crypto.randomUUID() } : {};
    const attempts: Promise<unknown>[] = [];
    const answer = await this.#answer(PASSING, (node) => {
      const calling = call(node, method, path, { token: person.token, body, headers });
      attempts.push(this.#track(calling));
      return calling;
    });
    const at = performance.now();
    this.writes++;
    if (!isSlow) {
      this.acknowledged.push(at);
      this.slowest = Math.max(this.slowest, at - start);
    }
    return { body: answer.body, at, settled: Promise.all(attempts) };
  }

  /** A read. `passing`: further refusals after which it is repeated. */
  async read(person: Person, path: string, passing: readonly number[] = []): Promise<Json> {
    const { token } = person;
    return (await this.#answer([...PASSING, ...passing], (node) => call(node, "GET", path, { token }))).body;
  }

  /** Resolves when no attempt of a write is open. */
  async settled(): Promise<void> {
    await until("every attempt has ended", () => this.#open.size === 0);
  }

  async #answer(passing: readonly number[], ask: (node: NodeProcess) => Promise<Answer>): Promise<Answer> {
    const end = performance.now() + GIVE_UP_MS;
    for (let i = this.random.whole(0, this.nodes.length - 1);; i++) {
      const answer = await inTime(ask(this.nodes[i % this.nodes.length]!));
      if (answer && answer.status < 300) return answer;
      if (answer && answer.slug !== RUNNING) {
        assert.ok(passing.includes(answer.status), `${answer.status} ${JSON.stringify(answer.body)}`);
      }
      if (performance.now() > end) {
        throw new Error(`No success within ${GIVE_UP_MS} ms: ${JSON.stringify(answer?.body)}`);
      }
      await sleep(RETRY_MS);
    }
  }

  #track(calling: Promise<unknown>): Promise<void> {
    const ended = calling.then(() => {}, () => {}).finally(() => this.#open.delete(ended));
    this.#open.add(ended);
    return ended;
  }
}

/** The answer, or nothing after a broken connection or too long a time. */
async function inTime(answering: Promise<Answer>): Promise<Answer | undefined> {
  const stopped = new AbortController();
  const answered = answering.catch((error) => {
    // An undeclared answer is an error of the node.
    if (error instanceof assert.AssertionError) throw error;
    return undefined;
  });
  try {
    return await Promise.race([answered, sleep(TIMEOUT_MS, stopped.signal).then(() => undefined)]);
  } finally {
    stopped.abort();
  }
}

import { SqlError, type Writer } from "../../db/sql.ts";
import type { Commit } from "../../db/turn_statement.ts";
import { keptList } from "../../db/values.ts";
import { TRACING } from "../../lib/tracing.ts";
import { inStatementSpans } from "./turn_spans.ts";
import type { Observations } from "../../lib/metrics/bound_histogram.ts";
import { boundHistogram, secondsSince } from "../../lib/metrics/registry.ts";

/** Another node has taken the partition; nothing was written. */
export class Fenced extends Error {
  override readonly name = "Fenced";
}

export interface Turn {
  partition: number;
  epoch: number;
  receipt?: string;
  row: Record<string, unknown>;
  /** Below it is the span of the statement. */
  traceparent?: string | undefined;
}

export interface Committed {
  result: unknown;
  /** The statement's last event, if it wrote any. */
  seq: number | null;
}

interface Waiting extends Turn {
  resolve(committed: Committed): void;
  reject(error: unknown): void;
}

interface Answer {
  turn: number;
  result: unknown;
  seq: number | null;
  events: string | null;
}

interface Lane {
  commit: Commit<object, unknown>;
  waiting: Waiting[];
  inFlight: number;
}

const COMMIT = boundHistogram<"statement">(
  "actor_commit_duration_seconds",
  "Time of a statement that carries commits, by its name",
);

/** Concurrent statements of one kind per worker, and turns per statement (`docs/limits.md`). */
const IN_FLIGHT = 1;
const MAX_TURNS = 256;

/**
 * Group commit: turns of the same kind that wait while a statement runs share the next one. So the cost of a round trip
 * and an fsync is shared exactly under load.
 */
export class Committer {
  #lanes = new Map<string, Lane>();
  /** By the name of the statement. */
  #durations = new Map<string, Observations>();
  readonly stats = { commits: 0, statements: 0, ms: 0 };

  /** `onEvents` receives each statement's events as a JSON array. */
  constructor(private readonly sql: Writer, private readonly onEvents: (events: string) => void) {}

  submit(commit: Commit<object, unknown>, turn: Turn): Promise<Committed> {
    let lane = this.#lanes.get(commit.name);
    if (!lane) this.#lanes.set(commit.name, lane = { commit, waiting: [], inFlight: 0 });
    return new Promise((resolve, reject) => {
      lane.waiting.push({ ...turn, resolve, reject });
      // Deferred, so that all turns of this tick share the statement.
      if (lane.inFlight < IN_FLIGHT && lane.waiting.length === 1) queueMicrotask(() => this.#pump(lane));
    });
  }

  #pump(lane: Lane): void {
    while (lane.waiting.length > 0 && lane.inFlight < IN_FLIGHT) {
      lane.inFlight++;
      void this.#run(lane.commit, lane.waiting.splice(0, MAX_TURNS), () => {
        lane.inFlight--;
        this.#pump(lane);
      });
    }
  }

  /**
   * Calls `ended` when the lane is free. The next statement starts before these turns continue, so the database does
   * not wait.
   */
  async #run(commit: Commit<object, unknown>, turns: Waiting[], ended: () => void): Promise<void> {
    let answers: Map<number, Committed>;
    try {
      answers = await this.#statement(commit, turns);
    } catch (error) {
      const refused = error instanceof SqlError && ["constraint", "fault"].includes(error.kind);
      if (turns.length === 1 || !refused) {
        ended();
        for (const turn of turns) turn.reject(error);
        return;
      }
      // One turn's constraint violation must not fail the others: each gets its own statement, in sequence.
      for (const turn of turns) await this.#run(commit, [turn], turn === turns.at(-1) ? ended : () => {});
      return;
    }
    ended();
    for (const [index, turn] of turns.entries()) {
      const answer = answers.get(index);
      if (answer) turn.resolve(answer);
      else turn.reject(new Fenced(`partition ${turn.partition} is not at epoch ${turn.epoch} any more`));
    }
  }

  async #statement(commit: Commit<object, unknown>, turns: Waiting[]): Promise<Map<number, Committed>> {
    const rows = turns.map(({ partition, epoch, receipt, row }, turn) => ({
      ...row,
      turn,
      part: partition,
      epoch,
      receipt,
    }));
    const partitions = [...new Set(turns.map((turn) => turn.partition))];
    this.stats.statements++;
    this.stats.commits += turns.length;
    // Few turns have a receipt, and an empty write costs a twentieth of the statement's time.
    const { name, text } = turns.some(({ receipt }) => receipt !== undefined) && commit.receipted || commit;
    const start = performance.now();
    const execute = () => this.sql.execute<Answer>(text, [JSON.stringify(rows), keptList(partitions)], name);
    const answers = await (TRACING ? inStatementSpans(name, turns, execute) : execute()).finally(() => {
      this.stats.ms += performance.now() - start;
      this.#durationsOf(name).observe(secondsSince(start));
    });
    // One of the rows has the events of the whole statement.
    const events = answers.find((answer) => answer.events)?.events;
    if (events) this.onEvents(events);
    return new Map(answers.map(({ turn, result, seq }) => [turn, { result, seq }]));
  }

  #durationsOf(name: string): Observations {
    let durations = this.#durations.get(name);
    if (!durations) this.#durations.set(name, durations = COMMIT.bind({ statement: name }));
    return durations;
  }
}

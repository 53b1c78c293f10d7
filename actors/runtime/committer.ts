import { type Sql, SqlError } from "../../db/sql.ts";
import type { Commit } from "../../db/turn_statement.ts";
import { keptList } from "../../db/values.ts";

/** The partition was taken by somebody else; nothing was written. */
export class Fenced extends Error {
  override readonly name = "Fenced";
}

export interface Turn {
  partition: number;
  epoch: number;
  receipt?: string;
  row: Record<string, unknown>;
}

export interface Committed {
  result: unknown;
  /** The last event of the statement, if it wrote any. */
  seq: number | null;
}

interface Waiting extends Turn {
  resolve(committed: Committed): void;
  reject(error: unknown): void;
}

interface Lane {
  commit: Commit<object, unknown>;
  waiting: Waiting[];
  inFlight: number;
}

/** How many statements of one kind run at once in a worker, and how many turns share one (`docs/limits.md`). */
const IN_FLIGHT = 1;
const MAX_TURNS = 256;

/**
 * Group commit: turns of the same kind that wait while a statement runs go together in the next one. So the cost of a
 * round trip and of an fsync is shared exactly when there is something to share it with.
 */
export class Committer {
  #lanes = new Map<string, Lane>();
  readonly stats = { commits: 0, statements: 0, ms: 0 };

  /** `onEvents` gets those of each statement, as a JSON array. */
  constructor(private readonly sql: Sql, private readonly onEvents: (events: string) => void) {}

  submit(commit: Commit<object, unknown>, turn: Turn): Promise<Committed> {
    let lane = this.#lanes.get(commit.name);
    if (!lane) this.#lanes.set(commit.name, lane = { commit, waiting: [], inFlight: 0 });
    return new Promise((resolve, reject) => {
      lane.waiting.push({ ...turn, resolve, reject });
      // Not at once: whoever else is ready in this tick shares the statement.
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

  /** `ended`: the lane is free. The next statement is on its way before these turns go on: the database need not wait for them. */
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
      // One turn's broken rule must not cost the others: each gets its own statement, and goes on when that has ended.
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
    // Few bring one, and a write that finds nothing to do costs the statement a twentieth of its time.
    const { name, text } = turns.some(({ receipt }) => receipt !== undefined) && commit.receipted || commit;
    const start = performance.now();
    const answers = await this.sql.query<{ turn: number; result: unknown; seq: number | null; events: string | null }>(
      text,
      [JSON.stringify(rows), keptList(partitions)],
      name,
    ).finally(() => this.stats.ms += performance.now() - start);
    // On one of the rows: what the statement as a whole has told.
    const events = answers.find((answer) => answer.events)?.events;
    if (events) this.onEvents(events);
    return new Map(answers.map(({ turn, result, seq }) => [turn, { result, seq }]));
  }
}

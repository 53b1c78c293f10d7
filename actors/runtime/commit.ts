import { type Sql, SqlError } from "../../db/sql.ts";
import type { ProblemCode } from "../../errors.ts";

/**
 * One SQL statement that takes any number of turns, checks each turn's partition epoch and writes everything of a turn or
 * nothing. Built by `defineCommit`; used only by the host, so that no write exists outside a turn.
 */
export interface Commit<Row extends object, Result> {
  readonly name: string;
  readonly text: string;
  /** Broken unique constraints that are a caller's business. */
  readonly violations: Readonly<Record<string, ProblemCode>>;
  /** Only for the types. */
  readonly row?: Row;
  readonly result?: Result;
}

interface Definition {
  /** `jsonb_to_recordset` columns of the row, e.g. `post_id uuid, text text`. */
  columns: string;
  /** CTEs over `turns` (the rows whose epoch holds). One of them may be `emitted (pos)`: the events written. */
  body: string;
  /** Yields `turn, result`. A turn without a row counts as fenced. */
  select: string;
  violations?: Record<string, ProblemCode>;
}

export function defineCommit<Row extends object, Result>(name: string, definition: Definition): Commit<Row, Result> {
  const { columns, body, select, violations = {} } = definition;
  const emits = /\bemitted as\b/.test(body);
  // `for share` waits for whoever raises the epoch, and makes them wait for us; then the epoch is compared again.
  const text = `with input as materialized (
  select * from jsonb_to_recordset($1::jsonb) as i(turn int, part int, epoch bigint, receipt uuid, ${columns})),
fence as materialized (
  select p.id, p.epoch from partitions p where p.id = any($2::int[]) order by p.id for share),
turns as materialized (
  select i.* from input i join fence f on f.id = i.part and f.epoch = i.epoch),
${body.trim().replace(/,$/, "")},
answers as materialized (${select}),
receipted as (
  update receipts r set result = a.result from turns t join answers a on a.turn = t.turn where r.id = t.receipt)
select a.turn, a.result, ${emits ? "(select max(pos) from emitted)" : "null::bigint"} as pos from answers a`;
  return { name, text, violations };
}

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
  pos: number | null;
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
const IN_FLIGHT = Number(Deno.env.get('INF') ?? 2);
const MOST_TURNS = 256;

/**
 * Group commit: turns of the same kind that wait while a statement runs go together in the next one. So the cost of a
 * round trip and of an fsync is shared exactly when there is something to share it with.
 */
export class Committer {
  #lanes = new Map<string, Lane>();
  readonly stats = { commits: 0, statements: 0, ms: 0 };

  constructor(private readonly sql: Sql) {}

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
      const turns = lane.waiting.splice(0, MOST_TURNS);
      lane.inFlight++;
      void this.#run(lane.commit, turns).finally(() => {
        lane.inFlight--;
        this.#pump(lane);
      });
    }
  }

  async #run(commit: Commit<object, unknown>, turns: Waiting[]): Promise<void> {
    const start = performance.now();
    try {
      const answers = await this.#statement(commit, turns);
      turns.forEach((turn, index) => {
        const answer = answers.get(index);
        if (answer) turn.resolve(answer);
        else turn.reject(new Fenced(`partition ${turn.partition} is not at epoch ${turn.epoch} any more`));
      });
    } catch (error) {
      // One turn's broken rule must not cost the others: each gets its own statement.
      if (turns.length > 1 && error instanceof SqlError && error.kind !== "lost" && error.kind !== "unavailable") {
        for (const turn of turns) await this.#run(commit, [turn]);
      } else {
        for (const turn of turns) turn.reject(error);
      }
    } finally {
      this.stats.ms += performance.now() - start;
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
    const answers = await this.sql.query<{ turn: number; result: unknown; pos: number | null }>(
      commit.text,
      [JSON.stringify(rows), partitions],
      commit.name,
    );
    return new Map(answers.map(({ turn, result, pos }) => [turn, { result, pos }]));
  }
}

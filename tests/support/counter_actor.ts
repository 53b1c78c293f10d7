/** A runtime with one kind of actor, a counter, on a database of one number. */
import { type ActorKind, commit, refuse, reply } from "../../actors/runtime/actor.ts";
import { defineCommit } from "../../db/turn_statement.ts";
import { Host } from "../../actors/runtime/host.ts";
import type { Reply } from "../../actors/runtime/protocol.ts";
import type { SequencedEvent } from "../../db/event.ts";
import type { RequestContext } from "../../lib/request_context.ts";
import { type Sql, SqlError } from "../../db/sql.ts";

const definition = {
  columns: "n int",
  body: "added as (select 1)",
  select: "select turn, '{}'::jsonb as result from turns",
  violations: { too_much: "uuid-taken" },
} as const;
export const add = defineCommit<{ n: number }, { total: number }>("test.add", definition);
/** Another statement for the same, as a page has for posts and replies. */
const addApart = defineCommit<{ n: number }, { total: number }>("test.add_apart", definition);

export type Count = { total: number; seen: number };
export type CountCommand =
  | { type: "add"; n: number }
  | { type: "like"; key: string; apart?: boolean }
  | { type: "get" }
  | { type: "refuse" }
  | { type: "break" }
  | { type: "guess" };

/** A counter: small enough to see the runtime itself. */
export const counter: ActorKind<Count, CountCommand> = {
  name: "page",
  handles: (type) => ["add", "like", "get", "refuse", "break", "guess"].includes(type),
  load: async (sql) => ({ total: (await sql.query<{ total: number }>("load", [], "load"))[0]!.total, seen: 0 }),
  decide(state, command) {
    switch (command.type) {
      case "add":
        return commit(add, { n: command.n }, ({ total }) => ({ value: total, state: { ...state, total } }));
      case "like":
        return commit(command.apart ? addApart : add, { n: 1 }, ({ total }) => ({ value: total }));
      case "get":
        return reply(state);
      case "refuse":
        return refuse("forbidden");
      case "guess":
        return commit(
          add,
          { n: 1 },
          ({ total }) => ({ refusal: { code: "code-invalid" }, state: { ...state, total } }),
        );
      case "break":
        throw new Error("A mistake in decide");
    }
  },
  // Throws, as kinds do, for a command without its fields.
  batchKey: (command) => command.type === "like" ? `like ${command.key}` : undefined,
  absorb: (state, event) => {
    if ((event.kind as string) === "malformed") throw new Error("A mistake in absorb");
    return event.kind === "page.updated" ? "drop" : { ...state, seen: event.seq };
  },
  watches: () => ["watched"],
};

/** A database of one number, that can be held up or broken. */
export class FakeSql implements Sql {
  total = 0;
  epoch = 1;
  loads = 0;
  /** Rows of each statement. */
  statements: number[] = [];
  error: Error | undefined;
  /** Lost answers, by the name of the statement. */
  lost = new Set<string>();
  /** Breaks the rule of `add`, with whatever goes in the same statement. */
  unlucky: number | undefined;
  gate: PromiseWithResolvers<void> | undefined;
  /** Loads answer after it, with what they read before. */
  loading: Promise<void> | undefined;

  async query<Row>(): Promise<Row[]> {
    this.loads++;
    const { total } = this;
    await this.loading;
    return [{ total }] as Row[];
  }
  async execute<Row>(_: string, params: readonly unknown[] = [], name = ""): Promise<Row[]> {
    const rows: { turn: number; n: number; epoch: number }[] = JSON.parse(params[0] as string);
    this.statements.push(rows.length);
    await this.gate?.promise;
    if (this.error) throw this.error;
    if (rows.some(({ n }) => n === this.unlucky)) {
      throw new SqlError("a rule is broken", "constraint", "23505", "too_much");
    }
    const answers = rows.filter(({ epoch }) => epoch === this.epoch).map(({ turn, n }) => ({
      turn,
      result: { total: this.total += n },
      seq: null,
      events: null,
    }));
    if (this.lost.has(name)) throw new SqlError("The connection was lost", "lost");
    return answers as Row[];
  }
  script(): Promise<void> {
    return Promise.resolve();
  }
  async [Symbol.asyncDispose](): Promise<void> {}
}

export function started({ limits = { idleMs: 1_000, maxActivations: 10 } } = {}) {
  const sql = new FakeSql();
  const clock = { now: 1_000_000 };
  const effects = { outdated: [] as number[], faults: 0, origins: [] as (RequestContext | undefined)[] };
  const ports = {
    committed: () => {},
    outdated: (partition: number) => effects.outdated.push(partition),
    fault: (_: unknown, __: unknown, origin: RequestContext | undefined) => {
      effects.faults++;
      effects.origins.push(origin);
    },
  };
  const host = new Host({ user: counter, page: counter, feed: counter }, sql, ports, limits, () => clock.now);
  const grant = (epoch: number) => {
    for (let partition = 0; partition < 64; partition++) host.grant(partition, epoch);
  };
  grant(1);
  const ask = (command: CountCommand, { id = "a", deadline = Infinity } = {}) =>
    new Promise<Reply>((answer) =>
      host.ask({ kind: "page", id }, { command, deadline, arrived: clock.now, answer: (reply) => answer(reply) })
    );
  const code = async (command: CountCommand, options = {}) => {
    const answer = await ask(command, options);
    return word(answer);
  };
  return { sql, clock, effects, host, grant, ask, code };
}

/** `ok`, `moved` if the actor is elsewhere, or the code of the refusal. */
export function word(answer: Reply): string {
  return answer.ok ? "ok" : "moved" in answer ? "moved" : answer.refusal.code;
}

export const settled = () => new Promise((resolve) => setTimeout(resolve, 0));
export const event = (fields: Partial<SequencedEvent>) =>
  ({
    seq: 5,
    kind: "post.created",
    page_id: "a",
    post_id: null,
    user_id: null,
    data: null,
    ...fields,
  }) as SequencedEvent;

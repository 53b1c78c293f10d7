/** Commands are checked at both ends. `deno task check` fails if a line below `@ts-expect-error` compiles. */
import assert from "node:assert/strict";
import { Actors } from "../../actors/actors.ts";
import { commit, type Decision, reply } from "../../actors/runtime/actor.ts";
import { type CommandOf, dispatch, type Handlers } from "../../actors/runtime/commands.ts";
import type { Command, Ref } from "../../actors/runtime/protocol.ts";
import type { ActorRouter, AskOptions } from "../../actors/runtime/router.ts";
import { defineCommit } from "../../db/turn_statement.ts";

const by = { id: "b", role: "user" } as const;

/** Actors whose router records commands and replies with `value`. */
function asked(value: unknown = null) {
  const calls: [Ref, Command, AskOptions | undefined][] = [];
  const ask = (...call: [Ref, Command, AskOptions?]) => {
    calls.push(call as [Ref, Command, AskOptions | undefined]);
    return Promise.resolve(value);
  };
  return { calls, actors: new Actors({ ask } as Partial<ActorRouter> as ActorRouter) };
}

Deno.test("A command is sent as its name and fields, and its reply has the type of the table", async () => {
  const { calls, actors } = asked({ liked: true, like_count: 4 });
  const { like_count } = await actors.ask("page", "p", "like", { by, post_id: "x" }, { receipt: "r" });
  assert.equal(like_count satisfies number, 4);
  assert.deepEqual(calls, [[{ kind: "page", id: "p" }, { type: "like", by, post_id: "x" }, { receipt: "r" }]]);
});

Deno.test("A command without fields is sent as its name", async () => {
  const { calls, actors } = asked();
  await actors.ask("user", "u", "account");
  assert.deepEqual(calls[0]![1], { type: "account" });
});

/** Never called; for the compiler. */
export async function doesNotCompile({ ask }: Actors): Promise<void> {
  // @ts-expect-error: a page has no such command
  await ask("page", "p", "sign_out", { sid: "s" });
  // @ts-expect-error: the fields of another command
  await ask("page", "p", "like", { by });
  // @ts-expect-error: it comes with fields
  await ask("page", "p", "follow");
  // @ts-expect-error: the reply is a number
  (await ask("page", "p", "answer_requests", { by, accept: true, user_ids: null })) satisfies string;
  // @ts-expect-error: a feed has no such command
  await ask("feed", "u", "like", { post_id: "x" });
}

interface CounterCommands {
  add: { command: { n: number }; reply: number };
  look: { command: Record<never, never>; reply: { count: number } };
}

const store = defineCommit<{ n: number }, { sum: number }>("test.store", {
  columns: "n int",
  body: "stored as (select t.turn, t.n as sum from turns t)",
  select: "select turn, jsonb_build_object('sum', sum) as result from stored",
});

const HANDLERS: Handlers<number, CounterCommands> = {
  add: (_, { n }) => commit(store, { n }, ({ sum }) => ({ value: sum, state: sum })),
  look: (count) => reply({ count }),
};

Deno.test("A command is decided by the handler of its name", () => {
  assert.deepEqual(dispatch(HANDLERS, 7, { type: "look" }, 0), { type: "reply", value: { count: 7 } });
  const added = dispatch(HANDLERS, 7, { type: "add", n: 2 }, 0);
  assert.ok(added.type === "commit");
  assert.deepEqual([added.row, added.then({ sum: 9 })], [{ n: 2 }, { value: 9, state: 9 }]);
});

export const WRONG: Handlers<number, CounterCommands> = {
  // @ts-expect-error: the reply is a number
  add: (_, { n }) => commit(store, { n }, ({ sum }) => ({ value: String(sum), state: sum })),
  // @ts-expect-error: the reply has another shape
  look: (count): Decision<number, number> => reply(count),
};

// @ts-expect-error: every command has a handler
export const INCOMPLETE: Handlers<number, CounterCommands> = { look: (count) => reply({ count }) };

// @ts-expect-error: the fields of another command
export const STRANGE: CommandOf<CounterCommands> = { type: "add", count: 7 };

/** Short words for what an actor decided, so that a table can hold them. */
import assert from "node:assert/strict";
import type { Decision, Outcome } from "../../actors/runtime/actor.ts";

/** `refuse <code>`, `reply`, `read` or `commit <statement>`. */
export function word<State>(decision: Decision<State>): string {
  if (decision.type === "refuse") return `refuse ${decision.refusal.code}`;
  return decision.type === "commit" ? `commit ${decision.commit.name}` : decision.type;
}

/** The row of a commit. */
// deno-lint-ignore no-explicit-any -- each statement has columns of its own
export function rowOf<State>(decision: Decision<State>): any {
  assert.equal(decision.type, "commit", word(decision));
  return decision.type === "commit" && decision.row;
}

/** What a commit means once the statement answered this. */
export function outcomeOf<State>(decision: Decision<State>, result: unknown = {}): Outcome<State> {
  assert.ok(decision.type === "commit", word(decision));
  return decision.then(result);
}

/** The state after a commit, for deciding the next command by. */
export function stateAfter<State>(decision: Decision<State>, result: unknown = {}): State {
  const { state } = outcomeOf(decision, result);
  assert.ok(state !== undefined && state !== "drop", "the outcome has a state");
  return state;
}

export function refusalOf<State>(decision: Decision<State>, result: unknown): string {
  const outcome = outcomeOf(decision, result);
  assert.ok("refusal" in outcome, JSON.stringify(outcome));
  return outcome.refusal.code;
}

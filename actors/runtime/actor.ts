import type { JobRef } from "../../db/jobs.ts";
import type { Reader } from "../../db/sql.ts";
import type { Commit } from "../../db/turn_statement.ts";
import type { Command, KindName, Refusal } from "./protocol.ts";
import type { SequencedEvent } from "../../db/event.ts";

/**
 * A kind of virtual actor. Every id is addressable: the first message loads the state, an idle actor is unloaded. An
 * actor handles one message at a time. During a turn it asks no other actor and does no other I/O.
 */
export interface ActorKind<State, C extends Command> {
  readonly name: KindName;
  /** Whether there is a command of this name. A node of another version may send others. */
  handles(type: string): boolean;
  load(sql: Reader, id: string): Promise<State>;
  /** Pure: everything it needs is passed in, everything it wants is returned. */
  decide(state: State, command: C, now: number): Decision<State>;
  /** Commands with different keys may share a turn, and so a statement. They must not change the state. */
  batchKey?(command: C): string | undefined;
  /** Applies an event that concerns this actor. After `"drop"` the next turn loads the state again. */
  absorb?(state: State, event: SequencedEvent): State | "drop";
  /** Pages whose events this actor receives; read after each turn. */
  watches?(state: State): Iterable<string>;
}

/** The result of a turn: exactly one of these. */
export type Decision<State, Value = unknown> =
  | Refuse
  | { type: "reply"; value: Value }
  /** Reads with SQL during the turn. */
  | { type: "read"; run: (sql: Reader) => Promise<{ state: State; value: Value } | { refusal: Refusal }> }
  | CommitDecision<State, Value>;

export interface Refuse {
  type: "refuse";
  refusal: Refusal;
}

export interface CommitDecision<State, Value = unknown> {
  type: "commit";
  // deno-lint-ignore no-explicit-any -- rows and results are typed where the decision is made (`commit()` below)
  commit: Commit<any, any>;
  row: Record<string, unknown>;
  /** Pure: interprets the statement's result. Without a state the next turn loads it again. */
  // deno-lint-ignore no-explicit-any -- see above
  then: (result: any) => Outcome<State, Value>;
}

/** A refusal may have a state: a wrong guess is counted and refused. `jobs`: committed jobs that are due now. */
export type Outcome<State, Value = unknown> =
  | { refusal: Refusal; state?: State }
  | { value: Value; state?: State | "drop"; jobs?: readonly JobRef[] };

export function refuse(
  code: Refusal["code"],
  detail?: string,
  errors?: Refusal["errors"],
): Refuse {
  const refusal: Refusal = { code };
  if (detail !== undefined) refusal.detail = detail;
  if (errors !== undefined) refusal.errors = errors;
  return { type: "refuse", refusal };
}

export function reply<Value>(value: Value): { type: "reply"; value: Value } {
  return { type: "reply", value };
}

/** A commit whose row and result types match. */
export function commit<State, Value, Row extends object, Result>(
  commit: Commit<Row, Result>,
  row: Row,
  then: (result: Result) => Outcome<NoInfer<State>, NoInfer<Value>>,
): CommitDecision<State, Value> {
  return { type: "commit", commit, row: row as Record<string, unknown>, then };
}

/** A turn's time as a database value. */
export function timeOf(now: number): string {
  return new Date(now).toISOString();
}

import type { JobRef } from "../../db/jobs.ts";
import type { Reader } from "../../db/sql.ts";
import type { Commit } from "../../db/turn_statement.ts";
import type { Command, KindName, Refusal } from "./protocol.ts";
import type { SequencedEvent } from "../../db/event.ts";

/**
 * A kind of virtual actor. Every id is addressable; the first message loads the state, idleness drops it. One message at a
 * time; in a turn an actor asks no other actor and does no outside I/O.
 */
export interface ActorKind<State, C extends Command> {
  readonly name: KindName;
  load(sql: Reader, id: string): Promise<State>;
  /** Pure: all that it needs comes in, all that it wants goes out. */
  decide(state: State, command: C, now: number): Decision<State>;
  /**
   * Commands with a key may share a turn, and so a statement, as long as their keys differ. They must leave the state as it is.
   */
  batchKey?(command: C): string | undefined;
  /** What the main thread may keep of this actor; told whenever a commit changed it. */
  snapshot?(state: State): unknown;
  /** Takes in an event that concerns this actor; `"drop"` makes the next turn load anew. */
  absorb?(state: State, event: SequencedEvent): State | "drop";
  /** Pages whose events this actor wants; asked after each turn. */
  watches?(state: State): Iterable<string>;
}

/** What a turn comes to: exactly one of these. */
export type Decision<State, Value = unknown> =
  | Refuse
  | { type: "reply"; value: Value }
  /** Reading by SQL inside the turn. */
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
  /** Pure: what the statement's answer means. Without a state the next turn loads anew. */
  // deno-lint-ignore no-explicit-any -- see above
  then: (result: any) => Outcome<State, Value>;
}

/** A refusal may come with a state: a wrong guess is counted, and refused. `jobs`: those committed that are due now. */
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

/** A commit whose row and result fit each other. */
export function commit<State, Value, Row extends object, Result>(
  commit: Commit<Row, Result>,
  row: Row,
  then: (result: Result) => Outcome<NoInfer<State>, NoInfer<Value>>,
): CommitDecision<State, Value> {
  return { type: "commit", commit, row: row as Record<string, unknown>, then };
}

/** A turn's time as the database takes it. */
export function timeOf(now: number): string {
  return new Date(now).toISOString();
}

/** Collects the final text of every named statement by running the code that builds it. */
import type { Param, Sql } from "../../db/sql.ts";
import { ACCOUNT_CALLS } from "./calls/accounts.ts";
import { BACKGROUND_CALLS } from "./calls/background.ts";
import type { Call } from "./calls/call.ts";
import { CONTENT_CALLS } from "./calls/content.ts";
import { commitStatements } from "./commits.ts";

export interface Statement {
  name: string;
  text: string;
  /** Commits run on connections without sequential scans (`byIndex` in `db/postgres.ts`). */
  isCommit: boolean;
  /** The parameters of each call. */
  params: readonly (readonly Param[])[];
}

/** Sorted by name. Throws if two statements have the same name. */
export async function allStatements(): Promise<Statement[]> {
  const found = [
    ...await commitTexts(),
    ...await queryTexts([...ACCOUNT_CALLS, ...CONTENT_CALLS, ...BACKGROUND_CALLS]),
  ];
  const byName = new Map<string, Statement>();
  for (const statement of found) {
    const other = byName.get(statement.name);
    if (other && other.text !== statement.text) throw new Error(`${statement.name} is the name of two statements`);
    byName.set(statement.name, { ...statement, params: [...other?.params ?? [], ...statement.params] });
  }
  return [...byName.values()].sort((a, b) => a.name < b.name ? -1 : 1);
}

/** The parameters of a commit: its turns, and their partitions. */
const NO_TURNS = ["[]", "{}"];

async function commitTexts(): Promise<Statement[]> {
  const commits = await commitStatements();
  return commits.flatMap(({ name, text, receipted }) => [{ name, text }, ...receipted ? [receipted] : []])
    .map((statement) => ({ ...statement, isCommit: true, params: [NO_TURNS] }));
}

async function queryTexts(calls: readonly Call[]): Promise<Statement[]> {
  const found: Statement[] = [];
  for (const call of calls) {
    const before = found.length;
    // Some functions fail without a row in the answer.
    const error = await call(recorder(found)).then(() => undefined, (error) => error);
    if (found.length === before) throw new Error(`${call} runs no named statement`, { cause: error });
  }
  return found;
}

/** Answers no rows. */
function recorder(found: Statement[]): Sql {
  const record = <Row>(text: string, params: readonly Param[] = [], name?: string): Promise<Row[]> => {
    if (name !== undefined) found.push({ name, text, isCommit: false, params: [params] });
    return Promise.resolve([]);
  };
  return {
    query: record,
    execute: record,
    script: () => Promise.reject(new Error("Scripts have no named statements")),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

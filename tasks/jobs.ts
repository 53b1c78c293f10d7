/** Lists jobs, retries dead ones and drops those that are not needed. */
import { readCommandLine } from "../lib/command_line.ts";
import { JOB_STATES, jobs } from "./commands/jobs.ts";
import { countJobs, dropJob, type JobState, type ListedJob, listJobs, retryJob } from "../db/jobs.ts";
import type { Sql } from "../db/sql.ts";
import { configOrExit, exitCodeOf, isMade, openDatabase } from "./database.ts";
import { fail, harmless, say, styled } from "./terminal.ts";

const BATCH = 100;
const ID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

const { command } = readCommandLine(jobs);
const config = configOrExit();
try {
  if (!await isMade(config)) fail(`There is no database in "${config.DATA_DIR}" yet; start Rookery once`);
  await using database = await openDatabase(config);
  Deno.exitCode = await run(database.sql, command);
} catch (error) {
  fail(`Cannot access the jobs: ${error instanceof Error ? error.message : error}`, exitCodeOf(error));
}
Deno.exit();

async function run(sql: Sql, asked: typeof command): Promise<number> {
  switch (asked.verb) {
    case "count": {
      const counts = await countJobs(sql);
      for (const state of JOB_STATES) say(`${state.padEnd(8)} ${counts[state] ?? 0}`);
      return 0;
    }
    case "list": {
      let shown = 0;
      for await (const job of every(sql, asked.state, asked.kind)) {
        say(line(job));
        shown++;
      }
      if (shown === 0) say(`No ${asked.state} jobs`);
      return 0;
    }
    case "retry":
      return await each(
        sql,
        asked.which === true ? "dead" : asked.which,
        "waits again",
        async (id) => (await retryJob(sql, id)) !== undefined,
      );
    case "drop":
      return await each(sql, asked.which === true ? "unknown" : asked.which, "is gone", (id) => dropJob(sql, id));
  }
}

/** Applies an action to named jobs or to all in a state. Returns 1 if a named job could not be changed. */
async function each(
  sql: Sql,
  which: JobState | readonly string[],
  done: string,
  act: (id: string) => Promise<boolean>,
): Promise<number> {
  let missing = 0;
  for await (const given of typeof which === "string" ? idsOf(sql, which) : which) {
    const id = given.toLowerCase();
    const did = ID.test(id) && await act(id);
    say(did ? `${id} ${done}` : `${harmless(id)} ${styled("red", "is missing or in another state")}`);
    if (!did) missing++;
  }
  return missing > 0 ? 1 : 0;
}

async function* idsOf(sql: Sql, state: JobState): AsyncGenerator<string> {
  for await (const { id } of every(sql, state)) yield id;
}

/** All jobs of a state, in batches. */
async function* every(sql: Sql, state: JobState, kind?: string): AsyncGenerator<ListedJob> {
  let after: { at: string; id: string } | undefined;
  for (;;) {
    const jobs = await listJobs(sql, { limit: BATCH, state, kind, after });
    yield* jobs;
    const last = jobs.at(-1);
    if (!last || jobs.length < BATCH) return;
    after = { at: last.created_at, id: last.id };
  }
}

function line({ id, kind, attempts, run_at, last_error }: ListedJob): string {
  const tries = `${attempts} ${attempts === 1 ? "try" : "tries"}`;
  const why = last_error === null ? "" : `  ${styled("dim", harmless(last_error))}`;
  return `${id}  ${kind.padEnd(18)} ${tries.padEnd(9)} due ${run_at.slice(0, 19)}Z${why}`;
}

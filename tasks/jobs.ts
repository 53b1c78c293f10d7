/** Shows jobs, tries dead ones again, and lets go of those that nobody needs. */
import { parseArgs } from "node:util";
import { offerHelp } from "../lib/command_line.ts";
import { countJobs, dropJob, type JobState, type ListedJob, listJobs, retryJob } from "../db/jobs.ts";
import type { Sql } from "../db/sql.ts";
import { configOrExit, exitCodeOf, isMade, openDatabase } from "./database.ts";
import { fail, harmless, say, styled } from "./terminal.ts";

const USAGE = `usage: deno task jobs                       how many there are in each state
       deno task jobs list [state] [--kind k]   waiting, running, dead (the default) or unknown; newest first
       deno task jobs retry <id>… | --all       try dead ones again
       deno task jobs drop <id>… | --all-unknown
                                                let go of dead or unknown ones; --all-unknown: of all that are unknown`;
const STATES: readonly string[] = ["waiting", "running", "dead", "unknown"] satisfies JobState[];
const AT_ONCE = 100;
const ID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

interface Asked {
  verb: string;
  words: string[];
  kind: string | undefined;
  all: boolean;
  allUnknown: boolean;
}

offerHelp(USAGE);
const asked = readArguments();
const config = configOrExit();
try {
  if (!await isMade(config)) fail(`There is no database in "${config.DATA_DIR}" yet; start Rookery once`);
  await using database = await openDatabase(config);
  Deno.exitCode = await run(database.sql, asked);
} catch (error) {
  fail(`The jobs are out of reach: ${error instanceof Error ? error.message : error}`, exitCodeOf(error));
}
Deno.exit();

async function run(sql: Sql, { verb, words, kind, all, allUnknown }: Asked): Promise<number> {
  switch (verb) {
    case "count": {
      const counts = await countJobs(sql);
      for (const state of STATES) say(`${state.padEnd(8)} ${counts[state] ?? 0}`);
      return 0;
    }
    case "list": {
      const state = (words[0] ?? "dead") as JobState;
      let shown = 0;
      for await (const job of every(sql, state, kind)) {
        say(line(job));
        shown++;
      }
      if (shown === 0) say(`No job is ${state}`);
      return 0;
    }
    case "retry":
      return await each(
        sql,
        all ? "dead" : words,
        "waits again",
        async (id) => (await retryJob(sql, id)) !== undefined,
      );
    default:
      return await each(sql, allUnknown ? "unknown" : words, "is gone", (id) => dropJob(sql, id));
  }
}

/** Does it to these or to all in a state; 1 where one of those named could not be. */
async function each(
  sql: Sql,
  which: JobState | string[],
  done: string,
  act: (id: string) => Promise<boolean>,
): Promise<number> {
  let missing = 0;
  const ids = typeof which === "string" ? which : undefined;
  for await (const given of ids === undefined ? which as string[] : idsOf(sql, ids)) {
    const id = given.toLowerCase();
    const did = ID.test(id) && await act(id);
    say(did ? `${id} ${done}` : `${harmless(id)} ${styled("red", "is not one of those")}`);
    if (!did) missing++;
  }
  return missing > 0 ? 1 : 0;
}

async function* idsOf(sql: Sql, state: JobState): AsyncGenerator<string> {
  for await (const { id } of every(sql, state)) yield id;
}

/** All of a state, some at a time. */
async function* every(sql: Sql, state: JobState, kind?: string): AsyncGenerator<ListedJob> {
  let after: { at: string; id: string } | undefined;
  for (;;) {
    const jobs = await listJobs(sql, { limit: AT_ONCE, state, kind, after });
    yield* jobs;
    const last = jobs.at(-1);
    if (!last || jobs.length < AT_ONCE) return;
    after = { at: last.created_at, id: last.id };
  }
}

function line({ id, kind, attempts, run_at, last_error }: ListedJob): string {
  const tries = `${attempts} ${attempts === 1 ? "try" : "tries"}`;
  const why = last_error === null ? "" : `  ${styled("dim", harmless(last_error))}`;
  return `${id}  ${kind.padEnd(18)} ${tries.padEnd(9)} due ${run_at.slice(0, 19)}Z${why}`;
}

function readArguments(): Asked {
  try {
    const { values, positionals: [verb = "count", ...words] } = parseArgs({
      args: Deno.args,
      allowPositionals: true,
      options: { kind: { type: "string" }, all: { type: "boolean" }, "all-unknown": { type: "boolean" } },
    });
    const asked = {
      verb,
      words,
      kind: values.kind,
      all: values.all ?? false,
      allUnknown: values["all-unknown"] ?? false,
    };
    if (isSound(asked)) return asked;
  } catch {
    // An option that is not known here: the same answer.
  }
  return fail(USAGE, 2);
}

function isSound({ verb, words, kind, all, allUnknown }: Asked): boolean {
  if (kind !== undefined && verb !== "list") return false;
  if (verb === "count") return words.length === 0 && !all && !allUnknown;
  if (verb === "list") return words.length <= 1 && STATES.includes(words[0] ?? "dead") && !all && !allUnknown;
  if (verb === "retry") return (words.length > 0) !== all && !allUnknown;
  return verb === "drop" && (words.length > 0) !== allUnknown && !all;
}

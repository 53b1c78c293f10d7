import { object, or } from "@optique/core/constructs";
import { message } from "@optique/core/message";
import { multiple, optional, withDefault } from "@optique/core/modifiers";
import { argument, command, constant, flag, option } from "@optique/core/primitives";
import { choice, string } from "@optique/core/valueparser";
import type { JobState } from "../../db/jobs.ts";
import { defineTask } from "./define.ts";

export const JOB_STATES = ["waiting", "running", "dead", "unknown"] as const satisfies JobState[];

const ids = () =>
  multiple(argument(string({ metavar: "ID" }), { description: message`The id of a job, as the list shows it` }), {
    min: 1,
  });

export const jobs = defineTask(
  "jobs",
  object({
    command: or(
      command("count", object({ verb: constant("count") }), {
        description: message`Count the jobs in each state; the same as without a command`,
      }),
      command(
        "list",
        object({
          verb: constant("list"),
          state: withDefault(
            argument(choice(JOB_STATES, { metavar: "STATE" }), { description: message`The state of the jobs` }),
            "dead",
          ),
          kind: optional(option("--kind", string({ metavar: "KIND" }), { description: message`Only this kind` })),
        }),
        { description: message`List jobs in a state, newest first` },
      ),
      command(
        "retry",
        object({
          verb: constant("retry"),
          which: or(ids(), flag("--all", { description: message`All that are dead` }), {
            errors: { noMatch: message`Expected the id of a job, or --all.` },
          }),
        }),
        { description: message`Retry dead jobs` },
      ),
      command(
        "drop",
        object({
          verb: constant("drop"),
          which: or(ids(), flag("--all-unknown", { description: message`All that are unknown` }), {
            errors: { noMatch: message`Expected the id of a job, or --all-unknown.` },
          }),
        }),
        { description: message`Delete dead or unknown jobs` },
      ),
      // Without a command.
      constant({ verb: "count" } as const),
    ),
  }),
  {
    examples: [
      "deno task jobs",
      "deno task jobs count",
      "deno task jobs list waiting --kind user.expire",
      "deno task jobs retry --all",
      "deno task jobs drop --all-unknown",
    ],
  },
);

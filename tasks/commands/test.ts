import { object } from "@optique/core/constructs";
import { message } from "@optique/core/message";
import { multiple, optional } from "@optique/core/modifiers";
import { argument, option } from "@optique/core/primitives";
import { integer, string } from "@optique/core/valueparser";
import { defineTask } from "./define.ts";

const arguments_ = object({
  words: multiple(
    argument(string({ metavar: "WORD" }), { description: message`Only files with one of these words in their path` }),
  ),
  filter: optional(
    option("--filter", string({ metavar: "TEXT" }), { description: message`Only tests with this text in their name` }),
  ),
  jobs: optional(
    option("--jobs", integer({ metavar: "NUMBER", min: 1 }), {
      description: message`Processes that share the files; 1 runs one file after another`,
    }),
  ),
  // The tasks `ok`, `test:tasks`, `test:browser` and `chaos` give these.
  fast: option("--fast", { hidden: true }),
  tasks: option("--tasks", { hidden: true }),
  browser: option("--browser", { hidden: true }),
  chaos: option("--chaos", { hidden: true }),
});

const NOTES = [
  "Postgres is embedded. " +
  "Tests that need Redis, NATS, Chromium, nginx or Debian's Postgres 15 are skipped where these are not installed.",
];

export const test = defineTask("test", arguments_, {
  examples: ["deno task test live/ --filter cursor", "deno task test --jobs 1"],
  notes: NOTES,
});
export const tasks = defineTask("test:tasks", arguments_, {
  examples: ["deno task test:tasks", "deno task test:tasks backup"],
  notes: NOTES,
});
export const browser = defineTask("test:browser", arguments_, {
  examples: ["deno task test:browser", "deno task test:browser bell"],
  notes: NOTES,
});
export const chaos = defineTask("chaos", arguments_, { examples: ["deno task chaos stats"], notes: NOTES });

import { object } from "@optique/core/constructs";
import { message } from "@optique/core/message";
import { multiple, optional, withDefault } from "@optique/core/modifiers";
import { argument, option } from "@optique/core/primitives";
import { choice, integer } from "@optique/core/valueparser";
import { defineTask } from "./define.ts";
import { folder } from "./values.ts";

export const BENCHES = [
  "feed",
  "post",
  "likes",
  "fanout",
  "photos",
  "search",
  "kv",
  "memory",
  "cluster",
  "sequencer",
  "embedded",
] as const;
export type BenchName = typeof BENCHES[number];

const number = () => integer({ metavar: "NUMBER", min: 1, max: 9_999_999_999 });

export const bench = defineTask(
  "bench",
  object({
    names: multiple(
      argument(choice(BENCHES, { metavar: "BENCH" }), { description: message`Only these; without a name all of them` }),
    ),
    seconds: withDefault(
      option("--seconds", number(), { description: message`The duration of one measurement` }),
      10,
    ),
    posts: withDefault(
      option("--posts", number(), { description: message`The size of the table that feed reads` }),
      1_000_000,
    ),
    against: optional(option("--against", folder(), {
      description: message`Another checkout, which embedded measures by turns with this one`,
    })),
  }),
  {
    examples: ["deno task bench feed post --seconds 5"],
    notes: ["It needs Postgres with pgbench, wrk and, for kv, Tarantool."],
  },
);

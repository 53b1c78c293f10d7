import { object } from "@optique/core/constructs";
import { message } from "@optique/core/message";
import { multiple } from "@optique/core/modifiers";
import { argument } from "@optique/core/primitives";
import { choice, string } from "@optique/core/valueparser";
import { defineTask } from "./define.ts";

const SHELLS = ["bash", "zsh", "fish"] as const;
export type Shell = typeof SHELLS[number];

export const completions = defineTask(
  "completions",
  object({
    shell: argument(choice(SHELLS, { metavar: "SHELL" }), { description: message`The shell` }),
    // What the printed script asks for: the words so far, the last one unfinished.
    words: multiple(argument(string({ metavar: "WORD" }), { hidden: true })),
  }),
  {
    examples: ["deno task completions bash"],
    notes: ["It prints a script for the shell to read; docs/tasks.md says where. It acts inside this folder only."],
  },
);

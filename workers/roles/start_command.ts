/** The command line of `deno task start`, which has no arguments. */
import { object } from "@optique/core/constructs";
import project from "../../deno.json" with { type: "json" };
import type { CommandDefinition } from "../../lib/command_line.ts";

export const startCommand: CommandDefinition = {
  program: "deno task start",
  description: project.tasks.start.description,
  parser: object({}),
  examples: ["deno task start", "PORT=9000 deno task start"],
  notes: [
    "Settings come from the environment; docs/settings.md and .env.example list them.",
    "Exit codes: 0 after SIGINT or SIGTERM, 2 for wrong settings, 1 for any other failure.",
  ],
};

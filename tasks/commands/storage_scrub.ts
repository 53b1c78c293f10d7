import { object } from "@optique/core/constructs";
import { message } from "@optique/core/message";
import { option } from "@optique/core/primitives";
import { defineTask } from "./define.ts";

export const storageScrub = defineTask(
  "storage:scrub",
  object({ remove: option("--remove", { description: message`Delete the orphaned files` }) }),
  {
    examples: ["deno task storage:scrub"],
    notes: ["Files younger than two hours may belong to an upload, and do not count. Exit code 1: files are missing."],
  },
);

import { object } from "@optique/core/constructs";
import { CONNECTION, CONNECTION_NOTES, EXIT_CODES_NOTE } from "./connection.ts";
import { defineTask } from "./define.ts";

export const listen = defineTask("listen", object(CONNECTION), {
  examples: ["deno task listen --login robin"],
  notes: ["It runs until Ctrl-C, and resumes a lost connection where it broke.", ...CONNECTION_NOTES, EXIT_CODES_NOTE],
});

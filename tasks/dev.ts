/** Runs the server and restarts it on every change to its files. */
import { readCommandLine } from "../lib/command_line.ts";
import { dev } from "./commands/plain.ts";

const ROOT = new URL("../", import.meta.url).pathname;

readCommandLine(dev);
const child = new Deno.Command(Deno.execPath(), { args: ["run", "-A", "--watch", "main.ts"], cwd: ROOT }).spawn();
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  Deno.addSignalListener(signal, () => {
    try {
      child.kill(signal);
    } catch {
      // It has already ended.
    }
  });
}
Deno.exit((await child.status).code);

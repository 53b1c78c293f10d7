/** Runs the server and restarts it on every change to its files. */
import { takesNoArguments } from "../lib/command_line.ts";

const ROOT = new URL("../", import.meta.url).pathname;

takesNoArguments(`usage: deno task dev

Starts Rookery like "deno task start", and again after every change to a source file.`);
const child = new Deno.Command(Deno.execPath(), { args: ["run", "-A", "--watch", "main.ts"], cwd: ROOT }).spawn();
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  Deno.addSignalListener(signal, () => {
    try {
      child.kill(signal);
    } catch {
      // It has ended already.
    }
  });
}
Deno.exit((await child.status).code);

/** The checks for every commit: formatting, lint, types and the fast tests. Stops at the first failure. */
import { readCommandLine } from "../lib/command_line.ts";
import { ok } from "./commands/plain.ts";

const ROOT = new URL("../", import.meta.url).pathname;
const STEPS = [
  ["fmt", "--check"],
  ["lint"],
  ["task", "check"],
  ["run", "-A", "tests/run.ts", "--fast"],
];

readCommandLine(ok);
for (const args of STEPS) {
  const { success, code } = await new Deno.Command(Deno.execPath(), { args, cwd: ROOT }).spawn().status;
  if (!success) Deno.exit(code);
}

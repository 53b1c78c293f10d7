/** What each commit passes: formatting, lint, types and the fast tests, one after another until one fails. */
import { takesNoArguments } from "../lib/command_line.ts";

const ROOT = new URL("../", import.meta.url).pathname;
const STEPS = [
  ["fmt", "--check"],
  ["lint"],
  ["task", "check"],
  ["run", "-A", "tests/run.ts", "--fast"],
];

takesNoArguments(`usage: deno task ok

Checks formatting, lint and types and runs the fast tests. Ends with 0 when all of them pass.`);
for (const args of STEPS) {
  const { success, code } = await new Deno.Command(Deno.execPath(), { args, cwd: ROOT }).spawn().status;
  if (!success) Deno.exit(code);
}

/** Prints the script that completes `deno task …` in a shell, and answers what that script asks. */
import { bash, fish, type ShellCompletion, zsh } from "@optique/core/completion";
import { readCommandLine } from "../lib/command_line.ts";
import { completions, type Shell } from "./commands/completions.ts";
import { suggestionsFor } from "./completions/suggestions.ts";

const SHELLS: Record<Shell, ShellCompletion> = { bash, zsh, fish };
/**
 * A function of the shell that runs this task: `completions/deno.*` define it, and the script of the library calls it.
 */
const FUNCTION = "rookery_tasks";
const { shell, words } = readCommandLine(completions);
const { encodeSuggestions, generateScript } = SHELLS[shell];

const output = words.length > 0
  ? [...encodeSuggestions(suggestionsFor(words))].join("")
  : `${await script(Deno.realPathSync(new URL("../", import.meta.url)))}\n`;
await Deno.stdout.write(new TextEncoder().encode(output));

async function script(root: string): Promise<string> {
  const folder = `'${root.replaceAll("'", String.raw`'\''`)}'`;
  return [
    shell === "fish" ? `set -g __rookery_root ${folder}` : `__rookery_root=${folder}`,
    generateScript(FUNCTION, [shell, "--"]),
    await Deno.readTextFile(new URL(`completions/deno.${shell}`, import.meta.url)),
  ].join("\n");
}

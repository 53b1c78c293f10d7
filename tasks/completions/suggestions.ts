/** What may follow on a command line that begins with `deno`. */
import { object, or } from "@optique/core/constructs";
import { message, text } from "@optique/core/message";
import { optional } from "@optique/core/modifiers";
import { type Parser, type Suggestion, suggestSync } from "@optique/core/parser";
import { command, flag } from "@optique/core/primitives";
import { COMMANDS } from "../commands/all.ts";
import { descriptionOf, TASK_NAMES, type TaskName } from "../commands/define.ts";

const help = optional(flag("--help", { description: message`Show help` }));
const [first, ...others] = TASK_NAMES.map((name) =>
  command(name, argumentsOf(name), { description: [text(descriptionOf(name))] })
);
const deno = command("task", or(first!, ...others));

/** `words` are those after `deno`; the last one is unfinished, and may be empty. */
export function suggestionsFor(words: readonly string[]): readonly Suggestion[] {
  const [word, ...more] = words;
  return word === undefined ? [] : suggestSync(deno, [word, ...more]);
}

/** Those of Deno's own commands are not known here. */
function argumentsOf(name: TaskName): Parser<"sync", unknown, unknown> {
  const known = COMMANDS.get(name);
  return known ? object({ known: known.parser, help }) : object({ help });
}

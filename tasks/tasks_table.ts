import type { DocEntry } from "@optique/core/doc";
import { formatMessage } from "@optique/core/message";
import { getDocPageSync } from "@optique/core/parser";
import { COMMANDS } from "./commands/all.ts";
import { descriptionOf, TASK_NAMES, type TaskCommand } from "./commands/define.ts";

/** A Markdown table of every task and its commands, for `docs/tasks.md`. */
export function tasksTable(): string {
  const rows = TASK_NAMES.flatMap((name) => {
    const command = COMMANDS.get(name);
    if (!command) return [row(name, descriptionOf(name), [])];
    const entries = entriesOf(command, []);
    return [
      row(name, descriptionOf(name), entries.filter(isArgument).map(termOf)),
      ...entries.filter(({ term }) => term.type === "command").map((entry) => verbRow(command, entry, entries)),
    ];
  });
  return ["| Task | What it does | Arguments |", "| --- | --- | --- |", ...rows].join("\n");
}

/** What the task accepts for all of its commands is in the task's own row. */
function verbRow(command: TaskCommand, { term, description }: DocEntry, common: DocEntry[]): string {
  const verb = term.type === "command" ? term.name : "";
  const known = new Set(common.filter(isArgument).map(termOf));
  const own = entriesOf(command, [verb]).filter(isArgument).map(termOf).filter((each) => !known.has(each));
  return row(`${command.name} ${verb}`, formatMessage(description ?? [], { quotes: false }), own);
}

function row(name: string, description: string, args: string[]): string {
  return `| \`${name}\` | ${description} | ${args.map((each) => `\`${each}\``).join(" ")} |`;
}

function entriesOf({ parser }: TaskCommand, args: string[]): DocEntry[] {
  return (getDocPageSync(parser, args)?.sections ?? []).flatMap(({ entries }) => entries);
}

function isArgument({ term }: DocEntry): boolean {
  return term.type === "option" || term.type === "argument";
}

function termOf({ term }: DocEntry): string {
  if (term.type === "option") return [term.names[0], ...(term.metavar === undefined ? [] : [term.metavar])].join(" ");
  return term.type === "argument" ? term.metavar : "";
}

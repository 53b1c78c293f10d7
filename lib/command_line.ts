/** Parses a command line by its definition. Help ends the process with 0, errors with 2. */
import { runParserSync } from "@optique/core/facade";
import { formatMessage, lineBreak, type Message, text } from "@optique/core/message";
import type { Parser } from "@optique/core/parser";
import { extractCommandNames } from "@optique/core/usage";
import { printLine } from "./write_text.ts";

/** One definition for parsing, help, completions and documents. */
export interface CommandDefinition<T = unknown> {
  /** What a user types: `deno task jobs`. */
  readonly program: string;
  readonly description: string;
  readonly parser: Parser<"sync", T, unknown>;
  readonly examples: readonly [string, ...string[]];
  /** Paragraphs that `--help` adds: exit codes, environment variables, background. */
  readonly notes: readonly string[];
}

const MAX_WIDTH = 100;

export function readCommandLine<T>(command: CommandDefinition<T>, args: readonly string[] = Deno.args): T {
  const { program, description, parser, examples, notes } = command;
  // The library shows examples only in the main help, but the footer also in that of a sub-command.
  const verb = extractCommandNames(parser.usage).has(args[0] ?? "") ? `${program} ${args[0]} ` : undefined;
  const own = verb === undefined ? [] : examples.filter((each) => `${each} `.startsWith(verb));
  const ends = [...own.map((each) => `Example: ${each}`), ...notes];
  return runParserSync(parser, program, args, {
    description: [text(description)],
    examples: lines(examples),
    ...(ends.length > 0 ? { footer: [text(ends.join("\n\n"))] } : {}),
    help: { option: { names: ["--help", "-h"], hidden: "usage" }, onShow: () => Deno.exit(0) },
    maxWidth: Deno.stdout.isTerminal() ? Math.min(Deno.consoleSize().columns, MAX_WIDTH) : MAX_WIDTH,
    termWidth: "auto",
    showDefault: { prefix: " (default: ", suffix: ")" },
    showChoices: { prefix: " (one of ", suffix: ")", label: "" },
    stdout: (page) => printLine(page.replace(/^Usage:/, "usage:").replaceAll(/ +$/gm, "").trimEnd()),
    // `onError` prints the same in one line.
    stderr: () => {},
    onError: (_, error) => refuse(command, formatMessage(error)),
  });
}

/** Ends the process with code 2 and one line with the reason. */
export function refuse({ program }: CommandDefinition, why: string): never {
  const line = `${why.replaceAll(/\s*\n\s*/g, " ").trim()} (usage: ${program} --help)`;
  printLine(Deno.stderr.isTerminal() && !Deno.noColor ? `\x1b[31m${line}\x1b[0m` : line, Deno.stderr);
  Deno.exit(2);
}

function lines(all: readonly string[]): Message {
  return all.flatMap((line, i) => i === 0 ? [text(line)] : [lineBreak(), text(line)]);
}

/** A command of `deno task`, with the description that `deno.json` gives it. */
import type { Parser } from "@optique/core/parser";
import project from "../../deno.json" with { type: "json" };
import type { CommandDefinition } from "../../lib/command_line.ts";

export type TaskName = keyof typeof project.tasks;

export interface TaskCommand<T = unknown> extends CommandDefinition<T> {
  readonly name: TaskName;
}

export function defineTask<T>(
  name: TaskName,
  parser: Parser<"sync", T, unknown>,
  { examples, notes = [] }: { examples: readonly [string, ...string[]]; notes?: readonly string[] },
): TaskCommand<T> {
  return { name, program: `deno task ${name}`, description: descriptionOf(name), parser, examples, notes };
}

export function descriptionOf(name: TaskName): string {
  return project.tasks[name].description;
}

export const TASK_NAMES = Object.keys(project.tasks) as TaskName[];

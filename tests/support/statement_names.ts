/** The names of SQL statements, read from the source without running it. */
import { projectFiles, readSource } from "./sources.ts";

/** The functions that take a statement's name, and the position of that argument. */
const NAMED_BY = [
  { call: /\.(?:query|execute)\b/g, argument: 2 },
  { call: /(?<!function )\bdefineCommit\b/g, argument: 0 },
  { call: /(?<!function )\bwritten\b/g, argument: 3, file: "db/kv.ts" },
];
export interface SourceNames {
  literals: Set<string>;
  /** Such as "report.${name}", as the source has them. */
  templates: Set<string>;
  /** What is neither, with its file: a parameter, as where a function hands the name on. */
  others: string[];
}

/** Of the program's files, or of these. */
export function namesInSource(files: Iterable<[path: string, source: string]> = programFiles()): SourceNames {
  const found: SourceNames = { literals: new Set(), templates: new Set(), others: [] };
  for (const [path, source] of files) {
    for (const { call, argument, file = path } of NAMED_BY) {
      if (file !== path) continue;
      for (const { index, 0: { length } } of source.matchAll(call)) {
        const name = argumentsAt(source, index + length)?.[argument];
        if (name) sort(name, path, found);
      }
    }
  }
  return found;
}

function* programFiles(): Generator<[path: string, source: string]> {
  for (const path of projectFiles(".ts")) if (!/^(tests|bench)\//.test(path)) yield [path, readSource(path)];
}

function sort(name: string, path: string, { literals, templates, others }: SourceNames): void {
  if (/^"[^"]*"$/.test(name)) literals.add(name.slice(1, -1));
  else if (/^`[^`]*`$/.test(name)) templates.add(name.slice(1, -1));
  else others.push(`${path}: ${name}`);
}

/** The arguments of a call, behind its type arguments; undefined if this is no call. */
function argumentsAt(source: string, at: number): string[] | undefined {
  if (source[at] === "<") at = endOf(source, at, "<", ">");
  if (source[at] !== "(") return;
  const parts: string[] = [];
  let depth = 0;
  let start = at + 1;
  for (let i = at; i < source.length; i++) {
    i = pastText(source, i);
    const char = source[i]!;
    if ("([{".includes(char)) depth++;
    if (")]}".includes(char)) depth--;
    if (depth === 0 || depth === 1 && char === ",") {
      parts.push(source.slice(start, i).trim());
      start = i + 1;
    }
    if (depth === 0) return parts;
  }
}

/** Skips strings, templates and comments that begin at `i`. */
function pastText(source: string, i: number): number {
  if (source.startsWith("//", i)) return pastText(source, source.indexOf("\n", i));
  if (source.startsWith("/*", i)) return pastText(source, source.indexOf("*/", i) + 2);
  if (!`"'\``.includes(source[i]!)) return i;
  const quote = source[i];
  for (i++; source[i] !== quote; i++) {
    if (source[i] === "\\") i++;
    else if (quote === "`" && source.startsWith("${", i)) i = endOf(source, i + 1, "{", "}") - 1;
  }
  return i + 1 < source.length ? pastText(source, i + 1) : i;
}

/** The position behind the bracket that closes the one at `i`. */
function endOf(source: string, i: number, open: string, close: string): number {
  for (let depth = 0;; i++) {
    if (open === "{") i = pastText(source, i);
    if (source[i] === open) depth++;
    if (source[i] === close && source[i - 1] !== "=" && --depth === 0) return i + 1;
    if (i >= source.length) throw new Error(`"${open}" is not closed`);
  }
}

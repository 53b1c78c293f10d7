/** Length of lines, files and functions, words, and log messages. */
import assert from "node:assert/strict";
import { partsOf } from "../support/source_parts.ts";
import { projectFiles, readSource } from "../support/sources.ts";
import { NAMES, PROSE, type Word } from "./tidy_words.ts";

const MAX_WIDTH = 120;
const MAX_FILE_LINES = 400;
const MAX_FUNCTION_LINES = 70;
/** These files have the forbidden words or are word lists. */
const LEFT_OUT = /^(?:tests\/unit\/tidy_|tasks\/demo\/words\.ts|bench\/search_words\.ts)/;

const files = projectFiles(".ts", ".js").filter((file) => !LEFT_OUT.test(file));
const sources = new Map(files.map((file) => {
  const text = readSource(file);
  return [file, { text, lines: text.split("\n"), ...partsOf(text) }];
}));
const documents = projectFiles(".md").map((file) => ({ file, text: readSource(file) }));

Deno.test("Lines have at most 120 characters, in strings and comments too", () => {
  const long = [...sources].flatMap(([file, { lines }]) => tooLong(file, lines));
  assert.deepEqual(long.concat(documents.flatMap(({ file, text }) => tooLong(file, wrapped(text)))), []);
});

Deno.test("Files have at most 400 lines", () => {
  const long = [...sources].filter(([, { lines }]) => lines.length - 1 > MAX_FILE_LINES).map(([file]) => file);
  assert.deepEqual(long, []);
});

Deno.test("Functions have at most 70 lines", () => {
  assert.deepEqual([...sources.keys()].flatMap(longFunctions), []);
});

Deno.test("Names are the field's words", () => {
  assert.deepEqual([...sources].flatMap(([file, { code }]) => uses(file, code, NAMES)), []);
});

Deno.test("Comments, messages and documents are in plain words", () => {
  const found = [...sources].flatMap(([file, { comments, strings }]) => [
    ...uses(file, comments, PROSE),
    ...uses(file, sentences(strings), PROSE),
  ]);
  assert.deepEqual(found.concat(documents.flatMap(({ file, text }) => uses(file, withoutCode(text), PROSE))), []);
});

Deno.test("Comments say the rule, not its number in a specification", () => {
  const cited = [...sources].flatMap(([file, { comments }]) =>
    [...comments.matchAll(/\bS\d+-\d+\b|\(S\d+\)/g)].map(([number]) => `${file}: ${number}`)
  );
  assert.deepEqual(cited, []);
});

Deno.test("Log messages begin in lower case and end without a period", () => {
  const wrong: string[] = [];
  let found = 0;
  for (const [file, { text }] of sources) {
    if (file.startsWith("tests/")) continue;
    for (const [, , message] of text.matchAll(/\blog\.(?:debug|info|warn|error|warnOften)\(\s*(["`])(.*?)\1/g)) {
      found++;
      const begins = /^(?:[a-z0-9]|\$\{|(?:NATS|Postgres|Redis|VK|SMTP|S3|HTTP)\b)/.test(message!);
      if (!begins || message!.endsWith(".")) wrong.push(`${file}: ${message}`);
    }
  }
  assert.deepEqual(wrong, []);
  assert.ok(found > 40, `only ${found} log messages were found`);
});

Deno.test("A file is read in parts: code, comments, strings", () => {
  const { code, comments, strings } = partsOf('const a = `x ${b("y")} z`; // c "d"\nconst e = /["/]/; /* f */');
  assert.equal(code.replaceAll(/ +/g, " ").trim(), 'const a = ` ${b(" ")} `; \nconst e = ;');
  assert.equal(comments.replaceAll(/ +/g, " ").trim(), '// c "d"\n /* f */');
  assert.equal(strings.replaceAll(/ +/g, " ").trim(), 'x y z \n /["/]/');
});

function tooLong(file: string, lines: readonly string[]): string[] {
  return lines.flatMap((line, i) =>
    line.length > MAX_WIDTH ? [`${file}:${i + 1}: ${line.length} characters: ${line.trim()}`] : []
  );
}

/** The lines of a document that can be wrapped: no code, no tables, nothing with a link. */
function wrapped(document: string): string[] {
  return withoutCode(document).split("\n").map((line) => line.startsWith("|") || line.includes("](") ? "" : line);
}

/** Without blocks of code and what is quoted as code; lines keep their numbers. */
function withoutCode(document: string): string {
  const blank = (code: string) => code.replaceAll(/[^\n]/g, "");
  return document.replaceAll(/^ *```[\s\S]*?^ *```$/gm, blank).replaceAll(/`[^`\n]*`/g, "``");
}

/** Sentences alone: no paths and kinds, and no statements, whose columns and job kinds stay. */
function sentences(strings: string): string {
  const isSentence = (run: string) => /\w\W* \W*\w/.test(run) && !SQL.test(run);
  return strings.split("\n").map((line) => line.split(/\s{2,}/).filter(isSentence).join("  ")).join("\n");
}

const SQL = /\b(?:select|insert|update|delete|from|where|materialized|returning|coalesce|json\w*|text|uuid)\b/;

function uses(file: string, text: string, words: readonly Word[]): string[] {
  return text.split("\n").flatMap((line, i) => {
    if (line.trim() === "") return [];
    const plain = line.replaceAll(/`[^`]*`/g, "");
    return words.flatMap(({ word, better, unless }) => {
      const found = unless?.test(plain) ? undefined : word.exec(plain)?.[0];
      return found === undefined ? [] : [`${file}:${i + 1}: "${found.trim()}", better "${better}": ${line.trim()}`];
    });
  });
}

/** Each as its file and its name. A function ends where `deno fmt` puts its closing brace: below its beginning. */
function longFunctions(file: string): string[] {
  const { code, lines } = sources.get(file)!;
  const blanked = code.split("\n");
  const begins =
    /(?:\bfunction\*?\s+\w+.*|=> \{|^\s+(?!if\b|for\b|while\b|switch\b|catch\b)(?:(?:static|async|private|override|get|set)\s+|\*)*[#\w]+\(.*\{)$/;
  return blanked.flatMap((line, start) => {
    if (!begins.test(line.trimEnd())) return [];
    const indent = /^\s*/.exec(line)![0];
    let end = start + 1;
    while (end < blanked.length && !(blanked[end]!.startsWith(`${indent}}`) && !/\{\s*$/.test(blanked[end]!))) end++;
    return end - start + 1 > MAX_FUNCTION_LINES ? [`${file}: ${nameIn(lines[start]!)}`] : [];
  });
}

function nameIn(line: string): string {
  return /\bfunction\*?\s+(\w+)/.exec(line)?.[1] ?? /"(.*)"/.exec(line)?.[1] ?? line.trim();
}

/**
 * Formats a statement by its structure alone: the line breaks and the indentation of the source do not matter. What
 * fits on a line stays on one. Otherwise each clause gets a line, then each condition or list item, and the content of
 * parentheses is indented.
 */
import { type Group, isComment, isGroup, type Item, nested, tokensOf, wordOf } from "./tokens.ts";

const WIDTH = 120;
const STEP = 2;

export function formatSql(sql: string): string {
  return formatBlock(nested(tokensOf(sql)), 0).join("\n") + "\n";
}

function formatBlock(items: readonly Item[], indent: number): string[] {
  const clauses = split(items, beginsClause);
  if (clauses.length === 1 || fits(items, indent)) return formatClause(items, indent);
  return clauses.flatMap((clause) => formatClause(clause, indent));
}

/** One clause: its list, or else its conditions, each on a line. */
function formatClause(items: readonly Item[], indent: number): string[] {
  if (fits(items, indent)) return [" ".repeat(indent) + oneLine(items)];
  const head = wordOf(items.find((item) => !isComment(item)));
  const commas = split(items, (before) => wordOf(before.at(-1)) === ",");
  if (head === "with") return commas.flatMap((part) => formatItem(part, indent));
  // Inside parentheses a list has no keyword to be indented under.
  const hanging = CLAUSES.has(head) || JOINS.has(head) || CONDITIONS.has(head) ? indent + STEP : indent;
  if (commas.length > 1) return formatList(commas, indent, hanging);
  if (head === "when") return formatItem(items, indent);
  const conditions = split(items, isWord("or"));
  if (conditions.length > 1) return conditions.flatMap((part, i) => formatClause(part, i === 0 ? indent : hanging));
  return split(items, beginsConjunct).flatMap((part, i) => formatItem(part, i === 0 ? indent : hanging));
}

/** Fills lines with list items. Lines after the first begin at `hanging`. */
function formatList(parts: readonly Item[][], indent: number, hanging: number): string[] {
  const lines: string[] = [];
  for (const [i, part] of parts.entries()) {
    const last = lines.at(-1) ?? "";
    const more = `${last} ${oneLine(part)}`;
    const isClosing = /^ *(?:\)|end\b)/.test(last);
    if (i > 0 && more.length <= WIDTH && !part.some(hasComment) && !isClosing) lines[lines.length - 1] = more;
    else if (i === 0 && hanging > indent && !fits(part, indent)) {
      lines.push(" ".repeat(indent) + oneLine(part.slice(0, 1)), ...formatItem(part.slice(1), hanging));
    } else lines.push(...formatItem(part, i === 0 ? indent : hanging));
  }
  return lines;
}

/** One item. Groups that do not fit on the line are broken up. */
function formatItem(items: readonly Item[], indent: number): string[] {
  const lines: string[] = [];
  let line = " ".repeat(indent);
  const end = () => {
    if (line.trim() !== "") lines.push(line);
    line = " ".repeat(indent);
  };
  for (const [i, item] of items.entries()) {
    if (isComment(item)) {
      end();
      line += wordOf(item);
      end();
      continue;
    }
    const text = (line.trim() !== "" && needsSpace(item, items[i - 1]) ? " " : "") + oneLine([item]);
    const next = items.findIndex((other, j) => j > i && isGroup(other));
    const width = line.length + text.length + oneLine(items.slice(i + 1, next < 0 ? undefined : next)).length;
    if (!isGroup(item) || !hasComment(item) && width <= WIDTH) line += text;
    else {
      const [head, ...inside] = formatGroup(item, indent);
      lines.push(line + (text.startsWith(" ") ? " " : "") + head, ...inside);
      line = " ".repeat(indent) + item.close.text;
    }
  }
  end();
  return lines;
}

function formatGroup({ open, items }: Group, indent: number): string[] {
  if (open.text !== "case") return [open.text, ...formatBlock(items, indent + STEP)];
  const branches = split(items, (_, item) => ["when", "else"].includes(wordOf(item)));
  return [open.text, ...branches.flatMap((branch) => formatClause(branch, indent + STEP))];
}

/** Splits before the items for which `isBegin` is true. A comment goes with what follows it. */
function split(
  items: readonly Item[],
  isBegin: (before: readonly Item[], item: Item, next?: Item) => boolean,
): Item[][] {
  const parts: Item[][] = [[]];
  for (const [i, item] of items.entries()) {
    const part = parts.at(-1)!;
    const before = part.filter((item) => !isComment(item));
    if (before.length === 0 || !isBegin(before, item, items[i + 1])) part.push(item);
    else {
      const last = part.findLastIndex((item) => !isComment(item));
      parts.push([...part.splice(last + 1), item]);
    }
  }
  return parts;
}

const CLAUSES = new Set(
  "select from where having limit offset union returning set values insert update delete".split(" "),
);
const JOINS = new Set(["join", "left", "right", "full", "cross", "inner", "outer"]);
const CONDITIONS = new Set(["and", "or"]);
/** The keyword after one of these begins no clause: `is distinct from`, `delete from`, `for update`, `do update` … */
const PREFIXES = new Set(["distinct", "delete", "for", "key", "no", "do"]);

function beginsClause(before: readonly Item[], item: Item, next?: Item): boolean {
  const word = wordOf(item);
  const last = wordOf(before.at(-1));
  if (PREFIXES.has(last)) return false;
  if (JOINS.has(word)) return !JOINS.has(last) && (word === "join" || JOINS.has(wordOf(next)));
  if (word === "group" || word === "order") return wordOf(next) === "by";
  if (word === "on") return wordOf(next) === "conflict";
  if (word === "for") return ["update", "share", "key", "no"].includes(wordOf(next));
  return CLAUSES.has(word);
}

function beginsConjunct(before: readonly Item[], item: Item): boolean {
  const last = before.findLast((item) => ["between", "and"].includes(wordOf(item)));
  return wordOf(item) === "and" && wordOf(last) !== "between";
}

function isWord(word: string): (before: readonly Item[], item: Item) => boolean {
  return (_, item) => wordOf(item) === word;
}

function fits(items: readonly Item[], indent: number): boolean {
  return indent + oneLine(items).length <= WIDTH && !items.some(hasComment);
}

function hasComment(item: Item): boolean {
  return isGroup(item) ? item.items.some(hasComment) : isComment(item);
}

function oneLine(items: readonly Item[]): string {
  return items.map((item, i) => {
    const space = i > 0 && needsSpace(item, items[i - 1]) ? " " : "";
    if (!isGroup(item)) return space + item.text;
    const { open, close } = item;
    const inside = oneLine(item.items);
    return space + (open.text === "case" ? `case ${inside} end` : open.text + inside + close.text);
  }).join("");
}

function needsSpace(item: Item, before: Item | undefined): boolean {
  const word = wordOf(item);
  if (word === "," || word === ";") return false;
  return (isGroup(item) ? item.open : item).hasSpace || wordOf(before) === ",";
}

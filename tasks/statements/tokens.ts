/** The tokens of an SQL statement and the nesting of its parentheses. */

export interface Token {
  text: string;
  /** Whether white space precedes it. */
  hasSpace: boolean;
}

/** What stands between parentheses, brackets, or `case` and `end`. */
export interface Group {
  open: Token;
  items: Item[];
  close: Token;
}

export type Item = Token | Group;

const LEXEMES = [
  /--[^\n]*/y,
  /'(?:[^']|'')*'/y,
  /"(?:[^"]|"")*"/y,
  /[A-Za-z_$][\w$]*|\d+(?:\.\d+)?/y,
  /::|[()[\],.;:{}]/y,
  /[-+*/<>=~!@#%^&|`?]+/y,
];
const ENDS: Readonly<Record<string, string>> = { "(": ")", "[": "]", case: "end" };

export function tokensOf(sql: string): Token[] {
  const tokens: Token[] = [];
  let hasSpace = false;
  for (let at = 0; at < sql.length;) {
    if (/\s/.test(sql[at]!)) {
      hasSpace = true;
      at++;
      continue;
    }
    const text = lexemeAt(sql, at);
    tokens.push({ text: text.trimEnd(), hasSpace });
    at += text.length;
    hasSpace = false;
  }
  return tokens;
}

function lexemeAt(sql: string, at: number): string {
  for (const lexeme of LEXEMES) {
    lexeme.lastIndex = at;
    const found = lexeme.exec(sql);
    if (found) return found[0];
  }
  throw new Error(`No SQL token at: ${sql.slice(at, at + 40)}`);
}

export function nested(tokens: readonly Token[]): Item[] {
  const outermost: Item[] = [];
  const open: { token: Token; items: Item[] }[] = [];
  const items = () => open.at(-1)?.items ?? outermost;
  for (const token of tokens) {
    const last = open.at(-1);
    if (last && token.text === ENDS[last.token.text]) {
      open.pop();
      items().push({ open: last.token, items: last.items, close: token });
    } else if (token.text in ENDS) open.push({ token, items: [] });
    else items().push(token);
  }
  if (open.length > 0) throw new Error(`"${open.at(-1)!.token.text}" is not closed`);
  return outermost;
}

export function isGroup(item: Item): item is Group {
  return "items" in item;
}

export function isComment(item: Item | undefined): boolean {
  return wordOf(item).startsWith("--");
}

/** The text of a token; empty for a group. */
export function wordOf(item: Item | undefined): string {
  return item === undefined || isGroup(item) ? "" : item.text;
}

/** A source file in parts, each of the length of the file, so that lines and columns stay: all else is blank. */
export interface SourceParts {
  /** Without comments and the insides of strings. */
  code: string;
  comments: string;
  /** The insides of strings. */
  strings: string;
}

/** After these a slash begins a regular expression. */
const BEFORE_REGEX = /(?:^|[-(,=:[!&|?{};+*%<>~^]|\b(?:return|typeof|case|of|in))\s*$/;

/** For TypeScript and JavaScript as `deno fmt` writes them. */
export function partsOf(text: string): SourceParts {
  const kinds = new Uint8Array(text.length);
  const [CODE, COMMENT, STRING] = [0, 1, 2];
  /** Braces that are open in each `${}` of a template. */
  const templates: number[] = [];
  let at = 0;
  const mark = (end: number, kind: number) => {
    kinds.fill(kind, at, end);
    at = end;
  };
  const inTemplate = () => {
    const start = at;
    while (at < text.length && text[at] !== "`" && !text.startsWith("${", at)) at += text[at] === "\\" ? 2 : 1;
    kinds.fill(STRING, start, at);
    if (text[at] === "`") mark(at + 1, CODE);
    else {
      mark(at + 2, CODE);
      templates.push(0);
    }
  };
  while (at < text.length) {
    const char = text[at]!;
    if (text.startsWith("//", at)) mark(endOr(text, "\n", at), COMMENT);
    else if (text.startsWith("/*", at)) mark(endOr(text, "*/", at + 2) + 2, COMMENT);
    else if (char === '"' || char === "'") {
      mark(at + 1, CODE);
      mark(endOfRun(text, at, char), STRING);
      mark(at + 1, CODE);
    } else if (char === "`") {
      mark(at + 1, CODE);
      inTemplate();
    } else if (char === "/" && BEFORE_REGEX.test(text.slice(Math.max(0, at - 20), at))) {
      mark(endOfRegex(text, at + 1), STRING);
    } else if (char === "}" && templates.at(-1) === 0) {
      templates.pop();
      mark(at + 1, CODE);
      inTemplate();
    } else {
      if (templates.length > 0 && char === "{") templates[templates.length - 1]!++;
      if (templates.length > 0 && char === "}") templates[templates.length - 1]!--;
      at++;
    }
  }
  const only = (kind: number) => text.replaceAll(/[^\n]/g, (char, i) => kinds[i] === kind ? char : " ");
  return { code: only(CODE), comments: only(COMMENT), strings: only(STRING) };
}

function endOr(text: string, end: string, from: number): number {
  const found = text.indexOf(end, from);
  return found < 0 ? text.length : found;
}

function endOfRun(text: string, from: number, quote: string): number {
  let at = from;
  while (at < text.length && text[at] !== quote && text[at] !== "\n") at += text[at] === "\\" ? 2 : 1;
  return at;
}

function endOfRegex(text: string, from: number): number {
  let inClass = false;
  let at = from;
  for (; at < text.length && text[at] !== "\n" && (inClass || text[at] !== "/"); at++) {
    if (text[at] === "\\") at++;
    else if (text[at] === "[") inClass = true;
    else if (text[at] === "]") inClass = false;
  }
  return at + 1;
}

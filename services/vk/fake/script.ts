import { FakeError } from "./error.ts";

/** The return value of a script: calls, lists of them, or plain values. */
export type Script = { call: { method: string; params: Record<string, unknown> } } | { list: Script[] } | {
  value: unknown;
};

/**
 * Parses a subset of VKScript: `return` and one value, which is a call such as `API.users.get({…})`, a list of values,
 * or JSON. Throws 12 for anything else.
 */
export function readScript(code: string): Script {
  const reader = new Reader(code);
  reader.word("return");
  const value = reader.value();
  reader.word(";");
  reader.end();
  return value;
}

export function callsIn(script: Script): number {
  if ("call" in script) return 1;
  return "list" in script ? script.list.reduce((sum, each) => sum + callsIn(each), 0) : 0;
}

class Reader {
  #at = 0;

  constructor(private readonly text: string) {}

  word(word: string): void {
    if (!this.#takes(word)) throw this.#refusal(word);
  }

  end(): void {
    this.#skip();
    if (this.#at < this.text.length) throw this.#refusal("the end");
  }

  value(): Script {
    if (this.#takes("[")) return this.#list();
    const called = this.#match(/API\.([A-Za-z]+\.[A-Za-z0-9]+)\s*\(/y);
    return called ? this.#call(called[1]!) : { value: this.#json() };
  }

  #list(): Script {
    const list: Script[] = [];
    while (!this.#takes("]")) {
      if (list.length > 0) this.word(",");
      list.push(this.value());
    }
    return { list };
  }

  #call(method: string): Script {
    if (this.#takes(")")) return { call: { method, params: {} } };
    const params = this.#json();
    this.word(")");
    if (typeof params !== "object" || params === null || Array.isArray(params)) throw this.#refusal("an object");
    return { call: { method, params: params as Record<string, unknown> } };
  }

  /** The shortest valid JSON from here ends where its brackets and quotes do. */
  #json(): unknown {
    this.#skip();
    const start = this.#at;
    const plain = this.#match(/-?\d+(\.\d+)?|true|false|null|"([^"\\]|\\.)*"/y);
    if (!plain) {
      let depth = 0;
      do {
        const piece = this.#match(/"([^"\\]|\\.)*"|[{}[\]]|[^"{}[\]]+/y)?.[0];
        if (piece === undefined || (depth === 0 && piece !== "{" && piece !== "[")) throw this.#refusal("a value");
        if (piece === "{" || piece === "[") depth++;
        if (piece === "}" || piece === "]") depth--;
      } while (depth > 0);
    }
    try {
      return JSON.parse(this.text.slice(start, this.#at));
    } catch {
      throw this.#refusal("a value");
    }
  }

  #takes(word: string): boolean {
    this.#skip();
    if (!this.text.startsWith(word, this.#at)) return false;
    this.#at += word.length;
    return true;
  }

  #match(pattern: RegExp): RegExpExecArray | null {
    this.#skip();
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.text);
    if (found) this.#at = pattern.lastIndex;
    return found;
  }

  #skip(): void {
    while (/\s/.test(this.text[this.#at] ?? "")) this.#at++;
  }

  #refusal(expected: string): FakeError {
    return new FakeError(12, `Unable to compile code: expected ${expected} at ${this.#at}`);
  }
}

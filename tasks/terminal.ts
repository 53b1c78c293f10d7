/** Output of tasks: results on standard output, remarks on standard error; colours and bars only on a terminal. */
import { printLine, writeText } from "../lib/write_text.ts";

const STYLES = { bold: "1", dim: "2", red: "31", green: "32", yellow: "33", cyan: "36" } as const;
export type Style = keyof typeof STYLES;

export function say(line: string): void {
  printLine(line);
}

export function remark(line: string): void {
  printLine(line, Deno.stderr);
}

/** Styles text on a terminal, unless `NO_COLOR` is set. */
export function styled(style: Style, text: string, to: { isTerminal(): boolean } = Deno.stdout): string {
  return to.isTerminal() && !Deno.noColor ? `\x1b[${STYLES[style]}m${text}\x1b[0m` : text;
}

/** Removes control characters from text of other people. */
export function harmless(text: string): string {
  // deno-lint-ignore no-control-regex -- these are what is removed
  return text.replaceAll(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, "");
}

/** Ends a task with a one-line message that says what to do. */
export function fail(message: string, code = 1): never {
  remark(styled("red", message, Deno.stderr));
  Deno.exit(code);
}

/** A progress bar on a terminal; elsewhere one line at the start and one at the end. */
export class Progress {
  #done = 0;
  #note = "";
  readonly #shown = Deno.stdout.isTerminal();

  constructor(private readonly name: string, private readonly total: number) {
    if (this.#shown) this.#draw();
    else say(`${name}: ${total} to do`);
  }

  step(): void {
    this.#done++;
    this.#note = "";
    if (this.#shown) this.#draw();
  }

  /** The reason for a wait. */
  note(text: string): void {
    if (text === this.#note) return;
    this.#note = text;
    if (this.#shown) this.#draw();
    else say(`${this.name}: ${this.#done} of ${this.total}; ${text}`);
  }

  end(): void {
    if (this.#shown) writeText(`\r\x1b[K${this.name.padEnd(12)} ${this.#done} done\n`);
    else say(`${this.name}: ${this.#done} done`);
  }

  #draw(): void {
    const width = 30;
    const filled = Math.round(width * this.#done / Math.max(1, this.total));
    const bar = "█".repeat(filled) + "░".repeat(width - filled);
    const note = this.#note === "" ? "" : `  ${styled("dim", this.#note)}`;
    writeText(`\r\x1b[K${this.name.padEnd(12)} ${bar} ${this.#done}/${this.total}${note}`);
  }
}

/** Progress bars in sequence. */
export class Steps {
  #bar: Progress | undefined;

  begin(name: string, steps: number): void {
    this.#bar = new Progress(name, steps);
  }

  step(): void {
    this.#bar?.step();
  }

  end(): void {
    this.#bar?.end();
  }
}

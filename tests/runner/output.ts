/** Lines of the run, and of the processes it runs. */
const ENCODER = new TextEncoder();

export function print(message: string): void {
  const bytes = ENCODER.encode(message + "\n");
  for (let sent = 0; sent < bytes.length;) sent += Deno.stdout.writeSync(bytes.subarray(sent));
}

/** What one process says of one test, shown together, so that processes beside each other can be told apart. */
export class Block {
  #lines: string[] = [];

  push(line: string): void {
    this.#lines.push(line);
    // A test's own lines are indented or between these; its last one stands alone.
    if (/^\S.* \.\.\. .*\(.*\)$/.test(plain(line)) || this.#lines.length > 400) this.flush();
  }

  flush(): void {
    for (const line of this.#lines.splice(0)) print(line);
  }
}

export async function* linesOf(output: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  let line = "";
  const decoder = new TextDecoder();
  for await (const chunk of output) {
    const lines = (line + decoder.decode(chunk, { stream: true })).split("\n");
    line = lines.pop()!;
    yield* lines;
  }
  // A process that died left its line unfinished.
  if (line !== "") yield line;
}

/** Without colours. */
export function plain(line: string): string {
  // deno-lint-ignore no-control-regex
  return line.replaceAll(/\x1b\[[0-9;]*m/g, "");
}

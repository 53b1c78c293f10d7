/** Output of the run and of its processes. */
const ENCODER = new TextEncoder();

export function print(message: string): void {
  const bytes = ENCODER.encode(message + "\n");
  for (let sent = 0; sent < bytes.length;) sent += Deno.stdout.writeSync(bytes.subarray(sent));
}

/** The output of one test, printed as a block, so that parallel processes are not mixed. */
export class Block {
  #lines: string[] = [];

  push(line: string): void {
    this.#lines.push(line);
    // A test's own lines are indented or between these lines; its last line is separate.
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
  // A process that died may have left an incomplete line.
  if (line !== "") yield line;
}

/** Without colours. */
export function plain(line: string): string {
  // deno-lint-ignore no-control-regex
  return line.replaceAll(/\x1b\[[0-9;]*m/g, "");
}

interface Output {
  writeSync(bytes: Uint8Array): number;
}

const ENCODER = new TextEncoder();

/** Writes the whole text: one call of a pipe may take only a part of it. */
export function writeText(text: string, to: Output = Deno.stdout): void {
  const bytes = ENCODER.encode(text);
  for (let sent = 0; sent < bytes.length;) sent += to.writeSync(bytes.subarray(sent));
}

export function printLine(line: string, to: Output = Deno.stdout): void {
  writeText(`${line}\n`, to);
}

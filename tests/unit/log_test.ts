import assert from "node:assert/strict";
import { Log } from "../../lib/log.ts";

/** What is written to standard error meanwhile, a line each. */
function written(work: () => void): Record<string, unknown>[] {
  const chunks: string[] = [];
  const write = Deno.stderr.writeSync;
  Deno.stderr.writeSync = (bytes) => {
    chunks.push(new TextDecoder().decode(bytes));
    return bytes.length;
  };
  try {
    work();
  } finally {
    Deno.stderr.writeSync = write;
  }
  return chunks.join("").trim().split("\n").map((line) => JSON.parse(line));
}

Deno.test("A field with the name of a standard field does not replace it", () => {
  const log = new Log("info").with({ level: "bound", part: "test" });
  const [line] = written(() => log.error("the sentence", { message: "a field", time: 7, cause: new Error("why") }));
  const { time, ...rest } = line!;
  assert.match(String(time), /^\d{4}-\d{2}-\d{2}T/);
  assert.deepEqual(rest, {
    level: "error",
    message: "the sentence",
    field_level: "bound",
    part: "test",
    field_message: "a field",
    field_time: 7,
    cause: "Error: why",
  });
});

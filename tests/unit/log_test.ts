import assert from "node:assert/strict";
import { Log } from "../../lib/log.ts";
import { withRequest } from "../../lib/request_context.ts";
import { Repeats } from "../../lib/repeats.ts";
import { sleep } from "../../lib/sleep.ts";
import { until } from "../support/wait.ts";

/** The lines written to standard error during `work`. */
async function written(work: () => void | Promise<void>): Promise<Record<string, unknown>[]> {
  const chunks: string[] = [];
  const write = Deno.stderr.writeSync;
  Deno.stderr.writeSync = (bytes) => {
    chunks.push(new TextDecoder().decode(bytes));
    return bytes.length;
  };
  try {
    await work();
  } finally {
    Deno.stderr.writeSync = write;
  }
  return chunks.join("").split("\n").filter((line) => line !== "").map((line) => JSON.parse(line));
}

Deno.test("A field with the name of a standard field does not replace it", async () => {
  const log = new Log("info").with({ level: "bound", part: "test" });
  const [line] = await written(() =>
    log.error("the sentence", { message: "a field", time: 7, cause: new Error("why") })
  );
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

Deno.test("A line within a request has its id and the id of its trace", async () => {
  const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const log = new Log("info");
  const lines = await written(async () => {
    await withRequest({ id: "r-1", traceparent }, async () => {
      await Promise.resolve();
      log.info("within");
    });
    withRequest({ id: "r-2" }, () => log.info("untraced", { request_id: "given" }));
    log.info("outside");
  });
  assert.deepEqual(
    lines.map(({ message, request_id, trace_id }) => ({ message, request_id, trace_id })),
    [
      { message: "within", request_id: "r-1", trace_id: "0af7651916cd43dd8448eb211c80319c" },
      { message: "untraced", request_id: "given", trace_id: undefined },
      { message: "outside", request_id: undefined, trace_id: undefined },
    ],
  );
});

Deno.test("A repeated warning is one line per kind and period, with the number of repetitions", async () => {
  const log = new Log("warn", {}, new Repeats(100));
  let lines = 0;
  const counted = new class extends Log {
    override warn(message: string, fields: Record<string, unknown>) {
      lines++;
      log.warn(message, fields);
    }
  }("warn", {}, new Repeats(100));
  const found = await written(async () => {
    for (let i = 1; i <= 500; i++) counted.warnOften("job failed", { kind: i % 2 ? "email" : "crop" }, { job: i });
    assert.equal(lines, 2, "the first of each kind is not delayed");
    await until("the end of the period", () => lines === 4);
    await sleep(250);
    counted.warnOften("job failed", { kind: "email" }, { job: 501 });
  });
  const shown = found.map(({ message, kind, job, count }) => ({ message, kind, job, count }));
  assert.deepEqual(shown, [
    { message: "job failed", kind: "email", job: 1, count: 1 },
    { message: "job failed", kind: "crop", job: 2, count: 1 },
    { message: "job failed", kind: "email", job: 499, count: 249 },
    { message: "job failed", kind: "crop", job: 500, count: 249 },
    { message: "job failed", kind: "email", job: 501, count: 1 },
  ]);
});

Deno.test("Below the minimum level a repeated warning is not counted", async () => {
  assert.deepEqual(await written(() => new Log("error").warnOften("job failed", {})), []);
});

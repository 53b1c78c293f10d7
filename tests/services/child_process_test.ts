import assert from "node:assert/strict";
import { startChildProcess } from "../../lib/child_process.ts";
import type { Log } from "../../lib/log.ts";

/** A child that ends before it reports its port, as many times as its file says. */
const CHILD = `
const left = Number(Deno.readTextFileSync(Deno.env.get("COUNT_FILE")));
Deno.writeTextFileSync(Deno.env.get("COUNT_FILE"), String(left - 1));
if (left > 0) Deno.exit(7);
console.log(JSON.stringify({ port: 4242 }));
for await (const _ of Deno.stdin.readable);
`;

async function childThatFails(times: number) {
  const folder = await Deno.makeTempDir({ prefix: "rookery-test-" });
  await Deno.writeTextFile(`${folder}/child.ts`, CHILD);
  await Deno.writeTextFile(`${folder}/count`, String(times));
  const lines: string[] = [];
  const plan = {
    name: "the child",
    entry: new URL(`file://${folder}/child.ts`),
    permissions: ["--allow-env", `--allow-read=${folder}`, `--allow-write=${folder}`],
    env: () => ({ COUNT_FILE: `${folder}/count` }),
    port: 0,
    log: { warn: (message: string) => void lines.push(message) } as unknown as Log,
  };
  return { plan, lines, [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }) };
}

Deno.test("A failed first start is retried in the background if the start does not wait", async () => {
  await using failing = await childThatFails(2);
  const retryStart = new AbortController().signal;
  await using child = await startChildProcess({ ...failing.plan, retryStart });
  assert.equal(child.port, 4242);
  assert.equal(failing.lines.filter((line) => /the child did not start, retrying/.test(line)).length, 2);
});

Deno.test("A failed first start is an error if the start waits", async () => {
  await using failing = await childThatFails(1);
  await assert.rejects(startChildProcess(failing.plan), /The child exited before it was ready/);
});

Deno.test("Retries of a first start end on request", async () => {
  await using failing = await childThatFails(1_000);
  const stopped = new AbortController();
  const starting = startChildProcess({ ...failing.plan, retryStart: stopped.signal });
  setTimeout(() => stopped.abort(), 500);
  await assert.rejects(starting);
});

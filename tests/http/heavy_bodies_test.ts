/** Short bodies that are expensive to parse must not block the thread. */
import assert from "node:assert/strict";
import { parseKeys, parsePairs } from "../../services/kv/bodies.ts";
import { sharedApp } from "../support/app.ts";

const app = sharedApp();
const MIB = 1024 * 1024;
const DEEP = "[".repeat(MIB) + "]".repeat(MIB);
const WIDE = `[${"{},".repeat(MIB / 2)}{}]`;

Deno.test("The store rejects a deep body in a fraction of the time that parsing takes", () => {
  const parsing = timed(() => JSON.parse(DEEP));
  assert.ok(timed(() => assert.throws(() => parseKeys(`{"keys":${DEEP}}`))) < parsing / 2);
  assert.ok(timed(() => parsePairs(`{"data":{"a":1},"if_version":${DEEP}}`)) < parsing / 2);
});

Deno.test("The store rejects deep and wide bodies by the field", async () => {
  const { token } = await app.person();
  for (const value of [DEEP, WIDE]) {
    const read = await app.call("POST", "/kv/read", { token, body: `{"keys":${value}}`, undeclared: true });
    assert.deepEqual([read.status, read.body.errors[0].path], [422, "keys"]);
    const body = `{"data":{"a":1},"mode":${value}}`;
    const written = await app.call("POST", "/kv/write", { token, body, undeclared: true });
    assert.deepEqual([written.status, written.body.errors[0].path], [422, "mode"]);
  }
});

Deno.test("A body with photos is limited in lists and objects, and is rejected before it is parsed", async () => {
  const { token, page_id } = await app.person();
  for (const value of [DEEP, WIDE]) {
    const body = `{"text":"","photos":${value}}`;
    const answer = await app.call("POST", `/pages/${page_id}/posts`, { token, body, undeclared: true });
    assert.deepEqual([answer.status, answer.body.errors[0].rule], [422, "too_complex"]);
  }
});

/** Milliseconds of the fastest of several runs: now and then one is interrupted. */
function timed(work: () => unknown): number {
  const times = Array.from({ length: 7 }, () => {
    const begun = performance.now();
    work();
    return performance.now() - begun;
  });
  return Math.min(...times);
}

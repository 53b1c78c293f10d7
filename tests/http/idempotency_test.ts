import assert from "node:assert/strict";
import { pruneReceipts } from "../../db/receipts.ts";
import type { Sql } from "../../db/sql.ts";
import { AppError } from "../../lib/errors.ts";
import { Idempotency, validKey } from "../../routes/http/idempotency.ts";
import { Secret } from "../../security/secret.ts";
import { openTestDatabase } from "../support/database.ts";
import { until } from "../support/wait.ts";

const ASKED = { scope: "account-1", key: "key-1", bodyMac: "mac-1" };
const ANSWER = { status: 201, location: "/api/v1/posts/1", body: '{"id":"1"}' };

async function withReceipts(test: (idempotency: Idempotency, sql: Sql) => Promise<void>): Promise<void> {
  await using sql = await openTestDatabase();
  using idempotency = new Idempotency(sql, new Secret("a secret for tests only, long enough"));
  await test(idempotency, sql);
}

async function begun(idempotency: Idempotency, asked = ASKED): Promise<{ id: string; result?: unknown }> {
  const answer = await idempotency.begin(asked);
  assert.ok("receipt" in answer, "expected a receipt, got a replay");
  return answer.receipt;
}

async function refused(idempotency: Idempotency, asked = ASKED): Promise<AppError> {
  try {
    await idempotency.begin(asked);
  } catch (error) {
    assert.ok(error instanceof AppError);
    return error;
  }
  assert.fail("Expected a refusal");
}

Deno.test("Idempotency replays the first answer", () =>
  withReceipts(async (idempotency) => {
    const { id } = await begun(idempotency);
    await idempotency.finish(id, ANSWER);
    assert.deepEqual(await idempotency.begin(ASKED), { replay: ANSWER });
  }));

Deno.test("Idempotency rejects the key with another body, running or done", () =>
  withReceipts(async (idempotency) => {
    const { id } = await begun(idempotency);
    assert.equal((await refused(idempotency, { ...ASKED, bodyMac: "mac-2" })).code, "idempotency-key-reused");
    await idempotency.finish(id, ANSWER);
    assert.equal((await refused(idempotency, { ...ASKED, bodyMac: "mac-2" })).code, "idempotency-key-reused");
  }));

Deno.test("Idempotency lets one of many callers run and the others wait", () =>
  withReceipts(async (idempotency) => {
    const outcomes = await Promise.allSettled(Array.from({ length: 20 }, () => idempotency.begin(ASKED)));
    assert.equal(outcomes.filter(({ status }) => status === "fulfilled").length, 1);
    for (const outcome of outcomes) {
      if (outcome.status === "fulfilled") continue;
      assert.equal(outcome.reason.code, "idempotency-key-running");
      assert.equal(outcome.reason.retryAfter, 1);
    }
  }));

Deno.test("Idempotency renews the lease of a long request until it has ended", () =>
  withReceipts(async (idempotency, sql) => {
    const { id } = await begun(idempotency);
    const lease = async () => {
      const [row] = await sql.query<{ until: string }>("select lease_until::text as until from receipts");
      return row!.until;
    };
    const first = await lease();
    await until("a renewed lease", async () => await lease() !== first);
    await idempotency.finish(id, ANSWER);
    assert.deepEqual(await idempotency.begin(ASKED), { replay: ANSWER });
  }));

Deno.test("Idempotency separates one key of two callers", () =>
  withReceipts(async (idempotency) => {
    const first = await begun(idempotency);
    const second = await begun(idempotency, { ...ASKED, scope: "account-2", bodyMac: "mac-2" });
    assert.notEqual(first.id, second.id);
  }));

Deno.test("Idempotency gives an abandoned receipt to one caller, with its result", () =>
  withReceipts(async (idempotency, sql) => {
    const { id } = await begun(idempotency);
    await sql.execute(
      "update receipts set lease_until = now() - interval '1 second', result = $2::jsonb where id = $1",
      [id, '{"post_id":"7"}'],
    );
    const outcomes = await Promise.allSettled(Array.from({ length: 10 }, () => idempotency.begin(ASKED)));
    const taken = outcomes.flatMap((outcome) => outcome.status === "fulfilled" ? [outcome.value] : []);
    assert.deepEqual(taken, [{ receipt: { id, result: { post_id: "7" } } }]);
  }));

Deno.test("Idempotency frees a key whose request was refused, for any body", () =>
  withReceipts(async (idempotency) => {
    const { id } = await begun(idempotency);
    await idempotency.release(id, new AppError("login-taken"));
    assert.notEqual((await begun(idempotency, { ...ASKED, bodyMac: "mac-2" })).id, id);
  }));

Deno.test("Idempotency keeps the receipt of a request whose outcome is unknown", () =>
  withReceipts(async (idempotency) => {
    const { id } = await begun(idempotency);
    await idempotency.release(id, new AppError("outcome-unknown"));
    assert.equal((await refused(idempotency, { ...ASKED, bodyMac: "mac-2" })).code, "idempotency-key-reused");
    assert.deepEqual(await begun(idempotency), { id });
  }));

Deno.test("Idempotency never frees a key whose request had its effect", () =>
  withReceipts(async (idempotency, sql) => {
    const { id } = await begun(idempotency);
    await sql.execute("update receipts set result = '{\"done\":true}' where id = $1", [id]);
    await idempotency.release(id);
    assert.deepEqual(await begun(idempotency), { id, result: { done: true } });
  }));

Deno.test("Receipts are kept for 48 hours and no longer", () =>
  withReceipts(async (idempotency, sql) => {
    const old = await begun(idempotency);
    const young = await begun(idempotency, { ...ASKED, key: "key-2" });
    await sql.execute("update receipts set created_at = now() - interval '49 hours' where id = $1", [old.id]);
    await sql.execute("update receipts set created_at = now() - interval '47 hours' where id = $1", [young.id]);
    assert.equal(await pruneReceipts(sql), 1);
    assert.deepEqual(await sql.query("select id from receipts"), [{ id: young.id }]);
  }));

Deno.test("An idempotency key is 1 to 128 visible ASCII characters", () => {
  for (const key of ["a", "!~", "x".repeat(128), crypto.randomUUID()]) assert.ok(validKey(key), key);
  for (const key of ["", "a b", "ключ", "x".repeat(129), "a\n", "\x7f"]) assert.ok(!validKey(key), JSON.stringify(key));
});

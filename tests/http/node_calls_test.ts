/** The way of calls between nodes over HTTP: for processes with the installation's secret only. */
import assert from "node:assert/strict";
import { httpCaller, NODE_CALL_HEADER, NODE_CALL_PATH, sealCall } from "../../actors/node_http.ts";
import { type NodeCall, OutcomeUnknown, Unreachable } from "../../actors/runtime/node_calls.ts";
import { newId } from "../../lib/ids.ts";
import { Secret } from "../../security/secret.ts";
import { startApp, type TestApp } from "../support/app.ts";

async function callOf({ ctx }: TestApp, userId: string): Promise<NodeCall> {
  const [row] = await ctx.sql.query<{ now: number }>(
    "select extract(epoch from clock_timestamp())::float8 * 1000 as now",
  );
  return {
    id: newId(),
    to: ctx.nodeId,
    ref: { kind: "user", id: userId },
    command: { type: "account" },
    deadline: row!.now + 5_000,
    after: 0,
  };
}

Deno.test("A node calls another over HTTP, once per call, and only if it is the node that is meant", async () => {
  await using app = await startApp();
  const { id } = await app.person();
  const send = httpCaller(app.ctx.secret);
  const call = await callOf(app, id);
  const first = await send(app.url, call, 3_000);
  assert.ok(first.reply.ok && (first.reply.value as { id: string }).id === id);
  assert.deepEqual(await send(app.url, call, 3_000), first, "the same call is answered and not done again");
  await assert.rejects(send(app.url, { ...call, id: newId(), to: newId() }, 3_000), Unreachable);
  await assert.rejects(
    send("http://127.0.0.1:9099", call, 3_000),
    (error) => error instanceof Unreachable || error instanceof OutcomeUnknown,
  );
  const other = httpCaller(new Secret("another secret of another installation"));
  await assert.rejects(other(app.url, { ...call, id: newId() }, 3_000), Unreachable);
});

Deno.test("A malformed call over HTTP is refused, and one that its header does not name is not there", async () => {
  await using app = await startApp();
  const { id } = await app.person();
  const { secret } = app.ctx;
  const call = await callOf(app, id);
  for (const [field, value] of [["command", null], ["ref", { kind: "planet", id }], ["deadline", "soon"]] as const) {
    const { reply } = await httpCaller(secret)(app.url, { ...call, id: newId(), [field]: value } as NodeCall, 3_000);
    assert.deepEqual(reply, {
      ok: false,
      refusal: { code: "internal", detail: `The call from another node has a malformed field: ${field}` },
    });
  }
  const command = { type: "of_a_newer_version" };
  const { reply } = await httpCaller(secret)(app.url, { ...call, id: newId(), command }, 3_000);
  assert.ok(!reply.ok && "refusal" in reply && reply.refusal.code === "actors-unavailable", JSON.stringify(reply));
  // The answer to one call would be accepted for another.
  const other = newId();
  const headers = { [NODE_CALL_HEADER]: `${other}.${secret.mac("node-call-header", other)}` };
  for (const each of [call, null]) {
    const body = sealCall(secret, each as NodeCall) as Uint8Array<ArrayBuffer>;
    const response = await fetch(app.url + NODE_CALL_PATH, { method: "POST", headers, body });
    await response.body?.cancel();
    assert.equal(response.status, 404);
  }
});

Deno.test("If something between two nodes fails, nobody knows whether the call arrived", async () => {
  await using app = await startApp();
  const { id } = await app.person();
  const call = await callOf(app, id);
  for (const status of [500, 502, 503, 504]) {
    const proxy = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {} },
      () => new Response("", { status }),
    );
    const url = `http://127.0.0.1:${proxy.addr.port}`;
    await assert.rejects(httpCaller(app.ctx.secret)(url, call, 3_000), OutcomeUnknown);
    await proxy.shutdown();
  }
});

Deno.test("To anybody without the secret the path of node calls does not exist, and no body is read", async () => {
  await using app = await startApp();
  const { id, token } = await app.person();
  const call = await callOf(app, id);
  const sealed = sealCall(app.ctx.secret, call) as Uint8Array<ArrayBuffer>;
  const post = async (headers: Record<string, string>, body: BodyInit) => {
    const response = await fetch(app.url + NODE_CALL_PATH, { method: "POST", headers, body });
    await response.body?.cancel();
    return response.status;
  };
  assert.equal(await post({}, sealed), 404);
  for (const method of ["GET", "PUT", "DELETE", "OPTIONS"]) {
    const response = await fetch(app.url + NODE_CALL_PATH, { method });
    await response.body?.cancel();
    assert.equal(response.status, 404, method);
  }
  assert.equal(await post({ authorization: `Bearer ${token}` }, JSON.stringify(call)), 404);
  assert.equal(await post({ [NODE_CALL_HEADER]: `${call.id}.forged` }, sealed), 404);
  // A body that never ends is not waited for.
  const endless = new ReadableStream({ start: (controller) => controller.enqueue(new Uint8Array(10)) });
  const begun = Date.now();
  const answer = await fetch(app.url + NODE_CALL_PATH, { method: "POST", body: endless });
  assert.equal(answer.status, 404);
  await answer.body?.cancel();
  assert.ok(Date.now() - begun < 8_000);
});

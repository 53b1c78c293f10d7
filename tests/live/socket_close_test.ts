import assert from "node:assert/strict";
import { Listener } from "../support/listener.ts";
import { inBatches } from "../support/in_batches.ts";
import { NodeProcess } from "../support/node_process.ts";
import { administrator, makePeople, type Person } from "../support/person.ts";
import { RawSocket } from "../support/raw_socket.ts";
import { until } from "../support/wait.ts";

Deno.test("A socket that does not read is closed with 4408, uses limited memory and resumes without loss", async () => {
  await using node = await NodeProcess.start();
  const [ann, bob] = await makePeople(node, 2) as [Person, Person];
  await bob.do("PUT", `/pages/${ann.page_id}/follow`);
  const slow = await RawSocket.open(`${node.url}/api/v1/feed/live`, { Authorization: `Bearer ${bob.token}` });
  const hello = await slow.next();
  assert.ok(hello?.kind === "text");
  const { cursor } = JSON.parse(hello.text);

  const ids: string[] = [];
  const text = "x".repeat(3_900);
  await until("the slow socket is closed", async () => {
    await inBatches(Array.from({ length: 200 }), 16, async () => void ids.push((await ann.post(text)).id));
    return await metric(node, "sockets") === 0;
  }, { everyMs: 1 });

  const seen: string[] = [];
  let last = cursor;
  let code = 0;
  for (let message = await slow.next(); message; message = await slow.next()) {
    if (message.kind === "close") code = message.code;
    if (message.kind !== "text") continue;
    const frame = JSON.parse(message.text);
    seen.push(frame.data.id);
    last = frame.cursor;
  }
  assert.equal(code, 4408);
  assert.ok(seen.length < ids.length, "only a part was sent");
  // Sent bytes are in the socket's queue, which has a limit of a mebibyte, and in the system's buffers.
  assert.ok(slow.received < 12 * 1024 * 1024, `${slow.received} bytes were buffered for one socket`);

  const listener = await Listener.open(bob, last);
  const end = await ann.post("the end");
  await listener.heard("the end", ({ data }) => data.id === end.id);
  const heard = [...seen, ...listener.events.map(({ data }) => data.id)];
  assert.equal(new Set(heard).size, heard.length, "no frame was repeated");
  assert.deepEqual(heard.toSorted(), [...ids, end.id].sort(), "every post was received");
  listener.cut();
});

Deno.test("A stopping node closes its sockets with 1012, and they resume on the next without loss", async () => {
  await using node = await NodeProcess.start();
  const [ann, bob] = await makePeople(node, 2) as [Person, Person];
  await bob.do("PUT", `/pages/${ann.page_id}/follow`);
  const listener = await Listener.open(bob);
  const first = await ann.post("before");
  await listener.heard("the post", ({ data }) => data.id === first.id);
  const writing = Promise.all(
    Array.from(
      { length: 30 },
      (_, i) => ann.call("POST", `/pages/${ann.page_id}/posts`, { text: `at the end ${i}` }).catch(() => undefined),
    ),
  );
  const { code, ms } = await node.stop();
  assert.equal(code, 0, node.output);
  assert.ok(ms < 10_000, `${ms} ms`);
  assert.equal((await listener.ended()).code, 1012);
  const stored = (await writing).flatMap((answer) => answer?.status === 201 ? [answer.body.id as string] : []);
  await node.restart();
  await listener.connect();
  const after = await ann.post("after");
  await listener.heard("the later post", ({ data }) => data.id === after.id);
  const heard = listener.events.map(({ data }) => data.id);
  for (const id of [first.id, ...stored]) {
    assert.equal(heard.filter((other) => other === id).length, 1, `${id} was received once`);
  }
  listener.cut();
});

Deno.test("A socket closes with 4401 at sign-out and with 4403 when its account is blocked", async () => {
  await using node = await NodeProcess.start();
  const admin = await administrator(node);
  const [ann, bob, eve] = await makePeople(node, 3) as [Person, Person, Person];
  const [first, second, third] = await Promise.all([ann, bob, eve].map((person) => Listener.open(person)));
  await ann.do("POST", "/security/logout");
  await until("the signed-out socket closes", () => first!.closed);
  assert.equal(first!.closed!.code, 4401);
  await admin.do("POST", `/users/${bob.id}/block`, { reason: "a test", until: null });
  await until("the socket of the blocked person closes", () => second!.closed);
  assert.equal(second!.closed!.code, 4403);
  await eve.signIn();
  await until("the socket of the earlier session closes", () => third!.closed);
  assert.equal(third!.closed!.code, 4401);
});

/** A number of `/metrics`. */
async function metric(node: NodeProcess, word: string): Promise<number> {
  const text = await (await fetch(`${node.url}/metrics`)).text();
  const line = text.split("\n").find((each) => each.startsWith(`rookery_live_${word} `));
  assert.ok(line, `no metric of ${word} in\n${text}`);
  return Number(line.split(" ").at(-1));
}

Deno.test("A long replay of the longest posts does not count as a slow reader", async () => {
  await using node = await NodeProcess.start();
  const [ann, bob] = await makePeople(node, 2) as [Person, Person];
  await bob.do("PUT", `/pages/${ann.page_id}/follow`);
  const listener = await Listener.open(bob);
  listener.cut();
  // A replay of 2.5 megabytes; the queue of a socket has room for one.
  for (let i = 0; i < 20; i++) await Promise.all(Array.from({ length: 16 }, () => ann.post("я".repeat(4_000))));
  const last = await ann.post("the last");
  await listener.connect();
  await listener.heard("the last post", ({ data }) => data.id === last.id);
  assert.equal(listener.events.filter(({ type }) => type === "post.created").length, 321);
  listener.cut();
});

import assert from "node:assert/strict";
import { startApp } from "../support/app.ts";
import { Listener, type LiveEvent } from "../support/listener.ts";
import { NodeProcess } from "../support/node_process.ts";
import { call } from "../support/api.ts";
import { makePeople, type Person } from "../support/person.ts";
import { HandshakeRefused, RawSocket } from "../support/raw_socket.ts";
import { until } from "../support/wait.ts";

Deno.test("A live socket", async (t) => {
  await using node = await NodeProcess.start();
  const people = await makePeople(node, 5);
  const [ann, bob, eve] = people as [Person, Person, Person];
  for (const person of [bob, eve]) await person.do("PUT", `/pages/${ann.page_id}/follow`);

  await handshakeSteps(t, { node, ann, bob });
  await numberSteps(t, { node, eve });

  await t.step("sends likes at most once in 250 ms, and the latest count in the end", async () => {
    const post = await ann.post("much liked");
    const listener = await Listener.open(bob);
    const start = performance.now();
    // Long enough for several like frames on any machine.
    for (let round = 0; round < 20 || performance.now() < start + 1_000; round++) {
      for (const act of ["PUT", "DELETE"]) {
        await Promise.all(people.map((person) => person.do(act, `/posts/${post.id}/like`)));
      }
    }
    await Promise.all([ann, bob, eve].map((person) => person.do("PUT", `/posts/${post.id}/like`)));
    const isLikeFrame = ({ type, data }: LiveEvent) => type === "post.likes" && data.id === post.id;
    await until("the latest count", () => listener.events.findLast(isLikeFrame)?.data.like_count === 3);
    const sent = listener.events.filter(isLikeFrame);
    // From the first like on: a busy process may read the first frame late.
    const span = sent.at(-1)!.at - start;
    assert.ok(sent.length > 1, "a long workload has more than one like frame");
    assert.ok((sent.length - 1) * 250 <= span, `${sent.length} like frames in ${Math.round(span)} ms`);
    listener.cut();
  });
});

Deno.test("A live socket is pinged while it is idle, and closed when it does not answer", async () => {
  await using app = await startApp({}, { heartbeatMs: 3_000 });
  const [answering, silent] = await Promise.all(
    (await app.people(2)).map((person) => RawSocket.open(liveUrl(app), bearer(person))),
  ) as [RawSocket, RawSocket];
  silent.answersPings = false;
  const answeringEnds = pingsUntilEnd(answering).then(() => "gone");
  const pings = await Promise.race([
    pingsUntilEnd(silent),
    new Promise<never>((_, no) => setTimeout(no, 60_000, new Error("never closed"))),
  ]);
  assert.ok(pings >= 1, "a ping was sent first");
  await until("the answering socket is pinged", () => answering.pings > 0);
  assert.equal(await Promise.race([answeringEnds, Promise.resolve("open")]), "open", "it stays open");
  answering.cut();
});

async function handshakeSteps(
  t: Deno.TestContext,
  { node, ann, bob }: { node: NodeProcess; ann: Person; bob: Person },
): Promise<void> {
  await t.step("starts with hello and a cursor that resumes", async () => {
    const socket = await RawSocket.open(liveUrl(node), bearer(bob));
    const first = await textOf(socket);
    assert.equal(first.type, "hello");
    assert.ok(first.heartbeat_s > 0);
    socket.cut();
    const missed = await ann.post("missed");
    const again = await RawSocket.open(liveUrl(node, `cursor=${first.cursor}`), bearer(bob));
    assert.equal((await textOf(again)).type, "hello");
    const frame = await textOf(again);
    assert.deepEqual([frame.type, frame.data.id, frame.data.text], ["post.created", missed.id, "missed"]);
    assert.ok(!("liked" in frame.data), "a frame is shared, so it has no fields about one viewer");
    again.cut();
  });

  await t.step("opens with a ticket once", async () => {
    const { ticket } = await bob.do("POST", "/feed/ticket");
    const socket = await RawSocket.open(liveUrl(node, `ticket=${ticket}`));
    assert.equal((await textOf(socket)).type, "hello");
    await ann.post("by ticket");
    assert.equal((await textOf(socket)).data.text, "by ticket");
    socket.cut();
    assert.deepEqual(await refusal(liveUrl(node, `ticket=${ticket}`)), [401, "token-invalid"]);
    const parallel = (await bob.do("POST", "/feed/ticket")).ticket;
    const tries = await Promise.allSettled(
      Array.from({ length: 8 }, () => RawSocket.open(liveUrl(node, `ticket=${parallel}`))),
    );
    const opened = tries.flatMap((tried) => tried.status === "fulfilled" ? [tried.value] : []);
    assert.equal(opened.length, 1, "of eight concurrent attempts");
    opened[0]!.cut();
  });

  await t.step("needs a signed-in caller and a valid cursor", async () => {
    assert.deepEqual(await refusal(liveUrl(node)), [401, "token-missing"]);
    assert.deepEqual(await refusal(liveUrl(node, "ticket=nonsense")), [401, "token-invalid"]);
    for (const garbage of ["nonsense", "%00", btoa("no:cursor"), ""]) {
      assert.deepEqual(
        await refusal(liveUrl(node, `cursor=${garbage}`), bearer(bob)),
        [400, "invalid-cursor"],
        garbage,
      );
    }
    const plain = await call(node, "GET", "/feed/live", { token: bob.token, undeclared: true });
    assert.equal(plain.status, 426);
  });

  await t.step("resets a cursor of another history and one from the future", async () => {
    const { live_cursor } = await bob.do("GET", "/feed");
    const [epoch, seq] = atob(live_cursor).split(":") as [string, string];
    for (
      const [cursor, reason] of [
        [`${crypto.randomUUID()}:${seq}`, "foreign"],
        [`${epoch}:${Number(seq) + 1_000_000}`, "future"],
      ] as const
    ) {
      const listener = await Listener.open(bob, btoa(cursor).replaceAll("=", ""));
      await until(`a reset as ${reason}`, () => listener.resets.includes(reason));
      const after = await ann.post(`after ${reason}`);
      await listener.heard("the next post", ({ data }) => data.id === after.id);
      listener.cut();
    }
  });
}

/** An account has at most sixteen sockets. */
async function numberSteps(t: Deno.TestContext, { node, eve }: { node: NodeProcess; eve: Person }): Promise<void> {
  await t.step("is refused to an account with sixteen open sockets, until one of them closes", async () => {
    const sockets = await Promise.all(Array.from({ length: 16 }, () => Listener.open(eve)));
    assert.deepEqual(await refusal(liveUrl(node), bearer(eve)), [429, "rate-limited"]);
    sockets.pop()!.cut();
    const again = await until("a place is free", () => Listener.open(eve).catch(() => undefined));
    for (const listener of [...sockets, again]) listener.cut();
  });

  await t.step("never opens more than sixteen, even if many open at once", async () => {
    await until("the earlier ones are deleted", async () => {
      const free = await Listener.open(eve).catch(() => undefined);
      free?.cut();
      return free;
    });
    const tries = await Promise.allSettled(Array.from({ length: 40 }, () => Listener.open(eve)));
    const opened = tries.flatMap((tried) => tried.status === "fulfilled" ? [tried.value] : []);
    try {
      assert.ok(opened.length <= 16, `${opened.length} sockets are open`);
    } finally {
      for (const listener of opened) listener.cut();
    }
  });
}

function liveUrl(node: { url: string }, query = ""): string {
  return `${node.url}/api/v1/feed/live${query ? `?${query}` : ""}`;
}

function bearer({ token }: Person): Record<string, string> {
  return { Authorization: `Bearer ${token}` };
}

// deno-lint-ignore no-explicit-any -- a parsed frame
async function textOf(socket: RawSocket): Promise<any> {
  for (let message = await socket.next(); message; message = await socket.next()) {
    if (message.kind === "text") return JSON.parse(message.text);
    assert.notEqual(message.kind, "close", JSON.stringify(message));
  }
  throw new Error("The connection ended");
}

async function refusal(url: string, headers?: Record<string, string>): Promise<[status: number, slug: string]> {
  try {
    (await RawSocket.open(url, headers)).cut();
  } catch (error) {
    if (!(error instanceof HandshakeRefused)) throw error;
    return [error.status, JSON.parse(error.body).type.split("/").at(-1)];
  }
  throw new Error("The handshake was accepted");
}

/** The number of pings before the connection ended. */
async function pingsUntilEnd(socket: RawSocket): Promise<number> {
  let pings = 0;
  for (let message = await socket.next(); message; message = await socket.next()) {
    if (message.kind === "ping") pings++;
    if (message.kind === "close") break;
  }
  return pings;
}

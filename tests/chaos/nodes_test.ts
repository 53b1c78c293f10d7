/** Nodes without actors beside the one with the actors, as separate processes. */
import assert from "node:assert/strict";
import { sleep } from "../../lib/sleep.ts";
import type { Json } from "../support/api.ts";
import { fullTest } from "../support/full.ts";
import { startInstallation } from "../support/installation.ts";
import type { NodeProcess } from "../support/node_process.ts";
import { administrator, makePeople, PASSWORD, type Person } from "../support/person.ts";
import { Listener } from "../support/listener.ts";
import { jpegOf } from "../support/pictures.ts";
import { RawSocket } from "../support/raw_socket.ts";
import { until } from "../support/wait.ts";

const photo = { name: "photo.jpg", data: (await jpegOf(900, 700)).toBase64() };

fullTest("A node without actors behaves like any other node", async () => {
  await using installation = await startInstallation();
  const { owner, a, b } = installation;
  for (const { url } of [owner, a, b]) {
    const ready = await fetch(`${url}/readyz`);
    assert.deepEqual([ready.status, (await ready.json()).checks.actors], [200, "ok"]);
  }
  const [ada, bob, eve] = await makePeople(a, 3) as [Person, Person, Person];
  await bob.at(b).do("PUT", `/pages/${ada.page_id}/follow`);
  await eve.do("PUT", `/pages/${ada.page_id}/follow`);
  const listeners = await Promise.all(
    [bob.at(b), eve.at(owner), ada].map((person) => Listener.open(person)),
  );
  const feedOf = async (person: Person) => (await person.do("GET", "/feed")).items;
  const post = await ada.post("hello", { photos: [photo] });
  assert.equal(post.state, "ready");
  for (const listener of listeners) await listener.heard("the post", ({ data }) => data.id === post.id);
  assert.deepEqual((await feedOf(ada)).map(({ id }: Json) => id), [post.id]);
  assert.equal((await feedOf(bob.at(b)))[0].liked, false);

  // A like through one node is visible in a cached feed on another.
  await bob.at(a).do("PUT", `/posts/${post.id}/like`);
  const [read] = await feedOf(bob.at(b));
  assert.deepEqual([read.liked, read.like_count], [true, 1]);
  for (const listener of listeners) {
    await listener.heard("the like", ({ type, data }) => type === "post.likes" && data.like_count === 1);
  }
  await listeners[2]!.heard("a notification", ({ type, data }) => type === "notification" && data.kind === "like");
  assert.ok((await ada.at(owner).do("GET", "/notifications")).items.some(({ kind }: Json) => kind === "like"));

  // An own write through a node is visible in the next read through it.
  for (let i = 0; i < 20; i++) {
    const { id } = await eve.post(`own words ${i}`);
    assert.equal((await feedOf(eve))[0].id, id);
  }
  const reply = await bob.at(b).post("an answer", { reply_to: post.id });
  await listeners[0]!.heard("the own reply", ({ data }) => data.id === reply.id);
  // A body longer than one message of NATS.
  await Promise.all(Array.from({ length: 90 }, () => ada.post("ж".repeat(4_000))));
  const long = await bob.at(b).do("GET", "/feed?limit=100");
  assert.equal(long.items.filter(({ text }: Json) => text.length === 4_000).length, 90);
  // A ticket of one node is valid on another.
  const { ticket } = await ada.do("POST", "/feed/ticket");
  const socket = await RawSocket.open(`${b.url}/api/v1/feed/live?ticket=${ticket}`);
  assert.equal((await socket.next())?.kind, "text");
  socket.cut();
  for (const listener of listeners) listener.cut();
});

fullTest("An Idempotency-Key used on one node is known on every other", async () => {
  await using installation = await startInstallation();
  const { owner, a, b } = installation;
  const [ada] = await makePeople(a, 1) as [Person];
  const send = (node: NodeProcess, text: string, key: string) =>
    ada.at(node).call("POST", `/pages/${ada.page_id}/posts`, { text }, { "idempotency-key": key });
  const first = await send(a, "once", "one");
  assert.equal(first.status, 201);
  for (const node of [b, owner, a]) {
    assert.equal((await send(node, "once", "one")).body.id, first.body.id);
    assert.equal((await send(node, "another", "one")).status, 422);
  }
  // Concurrent requests through all nodes create one post.
  const raced = await Promise.all([a, b, owner, a, b].map((node) => send(node, "raced", "two")));
  assert.ok(raced.every(({ status }) => [201, 409].includes(status)), `${raced.map(({ status }) => status)}`);
  assert.equal(new Set(raced.filter(({ status }) => status === 201).map(({ body }) => body.id)).size, 1);
  const [row] = await owner.sql.query<{ n: number }>("select count(*)::int as n from posts");
  assert.equal(row!.n, 2);
});

interface Listened {
  who: Person;
  nodes: readonly NodeProcess[];
  sockets: Listener[];
}

async function listenAt(nodes: readonly NodeProcess[], who: Person): Promise<Listened> {
  return { who, nodes, sockets: await Promise.all(nodes.map((node) => Listener.open(who.at(node)))) };
}

/** The answers to the next call and the close codes of the sockets. Equal values of all nodes are listed once. */
async function fateOf({ who, nodes, sockets }: Listened): Promise<[refusals: string[], codes: unknown[]]> {
  const answers = await Promise.all(nodes.map((node) => who.at(node).call("GET", "/users/me/requests")));
  const refusals = answers.map(({ status, body }) => status < 300 ? "fine" : body.type.split(/[/#]/).at(-1));
  // Sooner than a node polls.
  const soon = { timeoutMs: 2_500 };
  await until(`the sockets of ${who.login} are closed`, () => sockets.every(({ connected }) => !connected), soon);
  return [[...new Set(refusals)], [...new Set(sockets.map(({ closed }) => closed?.code))]];
}

fullTest("The end of a session or a change of role applies on every node at the next request", async () => {
  await using installation = await startInstallation();
  const { owner, a, b } = installation;
  const admin = await administrator(a);
  const people = await Promise.all((await makePeople(b, 6)).map((person) => listenAt([owner, a, b], person)));
  const [blocked, gone, raised, elsewhere, left, changed] = people as [
    Listened,
    Listened,
    Listened,
    Listened,
    Listened,
    Listened,
  ];

  await admin.do("POST", `/users/${blocked.who.id}/block`, { reason: "a test" });
  assert.deepEqual(await fateOf(blocked), [["account-blocked"], [4403]]);
  await admin.do("DELETE", `/users/${gone.who.id}`);
  assert.deepEqual(await fateOf(gone), [["token-invalid"], [4401]]);
  await elsewhere.who.at(a).signIn();
  assert.deepEqual(await fateOf(elsewhere), [["token-outdated"], [4401]]);
  await left.who.at(b).do("POST", "/security/logout");
  assert.deepEqual(await fateOf(left), [["session-ended"], [4401]]);
  await changed.who.at(a).do("POST", "/security/password", { current: PASSWORD, new: "An0ther!-password" });
  assert.deepEqual(await fateOf(changed), [["session-ended"], [4401]]);

  const record = (node: NodeProcess) => raised.who.at(node).call("GET", "/moderation/log").then(({ status }) => status);
  assert.equal(await record(b), 403);
  await admin.do("PUT", `/users/${raised.who.id}/role`, { role: "admin" });
  assert.deepEqual(await Promise.all([owner, a, b].map(record)), [200, 200, 200]);
  assert.deepEqual(await fateOf(raised), [["fine"], [4401]]);
});

for (
  const [what, code, act] of [
    ["a blocked account", 4403, (admin, id) => admin.do("POST", `/users/${id}/block`, { reason: "a test" })],
    ["a deleted account", 4401, (admin, id) => admin.do("DELETE", `/users/${id}`)],
    ["a former moderator", 4401, (admin, id) => admin.do("PUT", `/users/${id}/role`, { role: "user" })],
  ] as [string, number, (admin: Person, id: string) => Promise<unknown>][]
) {
  fullTest(`Sockets of ${what} are closed on every node before the answer`, async () => {
    await using installation = await startInstallation();
    const { a, b } = installation;
    const admin = await administrator(a);
    const [ada] = await makePeople(a, 1) as [Person];
    await admin.do("PUT", `/users/${ada.id}/role`, { role: "moderator" });
    const { sockets } = await listenAt([b], ada);
    const [socket] = sockets as [Listener];
    // A suspended node receives no message, and the answer waits for it.
    b.freeze();
    let answered = false;
    const acting = act(admin, ada.id).then(() => answered = true);
    await until("it is stored", async () => {
      const before = "select from users where id = $1 and role = 'moderator' and blocked_until is null";
      return (await a.sql.query(before, [ada.id])).length === 0;
    }, { everyMs: 5 });
    // Longer than an answer that waits for nobody, and well below the rest of the lease.
    await sleep(200);
    assert.equal(answered, false);
    b.thaw();
    await acting;
    await until("the message about it", () => !socket.connected, { timeoutMs: 2_500 });
    assert.equal(socket.closed?.code, code);
  });
}

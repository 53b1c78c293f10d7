/** A whole cluster by one command, as a person starts it. */
import assert from "node:assert/strict";
import { call, type Json, type Node, ok } from "../support/api.ts";
import { codesIn } from "../support/app.ts";
import { freshDataDir } from "../support/database.ts";
import { Listener } from "../support/listener.ts";
import { ADMIN, administrator, PASSWORD, Person, registration } from "../support/person.ts";
import { pngOf } from "../support/pictures.ts";
import { childrenOf, processesOf } from "../support/processes.ts";
import { readyPost } from "../support/ready_post.ts";
import { TaskProcess } from "../support/task_process.ts";
import { until } from "../support/wait.ts";

const HERE = { NATS_URL: "", REDIS_URL: "", DATABASE_URL: "", ADMIN_PASSWORD: ADMIN.password };

async function cluster(path: string, ...args: string[]): Promise<{ task: TaskProcess; node: Node }> {
  const task = new TaskProcess("cluster", ["--port", "0", ...args], { ...HERE, DATA_DIR: path });
  await task.says(/cluster is ready at \S+\n/, 120_000);
  const [, url = ""] = /cluster is ready at (\S+)\n/.exec(task.output)!;
  return { task, node: { url } };
}

async function register(node: Node, login: string): Promise<Person> {
  const person = new Person(node, login);
  await ok(node, "POST", "/users", { body: registration(login) });
  await person.signIn();
  const mailbox = { body: { email: person.email, password: PASSWORD } };
  const code = await until("the email with the code", async () => {
    const { letters } = await ok(node, "POST", "/mail/inbox", mailbox);
    return codesIn(letters[0]?.text ?? "")[0];
  }, { everyMs: 200 });
  await person.do("POST", "/security/verify", { code });
  return person;
}

async function postPhoto(person: Person): Promise<Json> {
  const form = new FormData();
  form.set("text", "A photo");
  form.set("photos", new Blob([await pngOf(40, 40) as Uint8Array<ArrayBuffer>]), "square.png");
  const sent = await person.do("POST", `/pages/${person.page_id}/posts`, form);
  const post = await readyPost(person.node, person.token, sent);
  const headers = { authorization: `Bearer ${person.token}` };
  const photo = await fetch(`${person.node.url}${post.photos[0].url}`, { headers });
  assert.equal(photo.status, 200);
  await photo.body?.cancel();
  return post;
}

/** As a client that does not give up. */
async function persistently({ node, token, page_id }: Person, text: string): Promise<string> {
  const headers = { "idempotency-key": crypto.randomUUID() };
  // The document knows nothing of the 502 of a proxy.
  const options = { token, headers, body: { text }, undeclared: true };
  return await until(`the post "${text}"`, async () => {
    const answer = await call(node, "POST", `/pages/${page_id}/posts`, options).catch(() => undefined);
    assert.ok(!answer || [201, 409, 502, 503, 504].includes(answer.status), JSON.stringify(answer));
    return answer?.status === 201 ? answer.body.id as string : undefined;
  }, { everyMs: 50 });
}

Deno.test("deno task cluster serves people while a node is killed, leaves no process, and keeps its data", async () => {
  await using folder = await freshDataDir();
  const { task, node } = await cluster(folder.path, "--nodes", "2");
  await using _ = task;
  const admin = await administrator(node);
  const [ann, bob] = await Promise.all([register(node, "ann"), register(node, "bob")]);
  await bob.do("PUT", `/pages/${ann.page_id}/follow`);
  await using listener = await Listener.open(bob);
  const first = await ann.post("Before");
  await listener.heard("the first post", ({ data }) => data.id === first.id);
  const photo = await postPhoto(ann);
  const nodes = await until("equal shares", async () => {
    const { items }: { items: Json[] } = await admin.do("GET", "/nodes");
    return items.every(({ partitions }) => partitions === 32) && items;
  });
  assert.deepEqual(nodes.map(({ live, actors }) => [live, actors]), [[true, true], [true, true]]);
  assert.equal(nodes.filter(({ is_this_node }) => is_this_node).length, 1);

  await task.says(/node 1: \S+, 32 partitions/);
  const [, pid] = /node 1: \S+, 32 partitions \(pid (\d+),/.exec(task.output)!;
  Deno.kill(Number(pid), "SIGKILL");
  const second = await persistently(ann, "After");
  await task.says(/node 1 ended with SIGKILL.*[^]*node 2: \S+, 64 partitions/);
  // The proxy may still have the node that was killed.
  await until("it listens", () => listener.isOpen || listener.connect().then(() => true, () => false));
  await listener.heard("the second post", ({ data }) => data.id === second);
  const feed = (await bob.do("GET", "/feed")).items.map(({ id }: Json) => id);
  assert.deepEqual(feed, [second, photo.id, first.id]);

  const refused = await TaskProcess.run("cluster", ["--port", "0"], { ...HERE, DATA_DIR: folder.path });
  assert.match(refused.output, /is in use by process \d+/);
  assert.equal(refused.code, 1);

  const children = await childrenOf(task.pid);
  assert.ok(children.some(({ command }) => command.includes("nats-server")), JSON.stringify(children));
  assert.equal(await task.interrupt("SIGTERM"), 0, task.output);
  await until("no process is left", async () => (await processesOf(children)).length === 0, { timeoutMs: 10_000 });

  // Without an end in order, the same holds.
  const again = await cluster(folder.path, "--nodes", "1");
  const returned = new Person(again.node, "bob");
  await returned.signIn();
  assert.equal((await returned.do("GET", "/feed")).items.length, 3);
  const left = await childrenOf(again.task.pid);
  await again.task[Symbol.asyncDispose]();
  await until("the end of all processes", async () => (await processesOf(left)).length === 0, { timeoutMs: 10_000 });
});

for (
  const [program, env] of [["nats-server", {}], ["redis-server", { NATS_URL: "nats://127.0.0.1:9" }]] as const
) {
  Deno.test(`deno task cluster without ${program} exits with 2 and one line that says how to get it`, async () => {
    const path = await Deno.makeTempDir({ prefix: "rookery-test-" });
    const settings = { ...HERE, ...env, DATA_DIR: `${path}/data`, PATH: path };
    const { code, output } = await TaskProcess.run("cluster", [], settings);
    assert.equal(code, 2, output);
    const setting = program === "nats-server" ? "NATS_URL" : "REDIS_URL";
    const how = `install it \\(apt install ${program}, [^\n]*\\), or set ${setting}`;
    assert.match(output, new RegExp(`^There is no ${program} in PATH: ${how}\n$`));
    assert.deepEqual([...Deno.readDirSync(path)], [], "nothing is made");
    await Deno.remove(path);
  });
}

/**
 * A VK token is in no log, answer, JWT, event, file or address. Everything that a node writes while it uses tokens,
 * also with every kind of error, is searched for them.
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { Redis } from "ioredis";
import type { Sealing } from "../../lib/bus/bus.ts";
import { NatsBus } from "../../lib/bus/nats.ts";
import { BusSealing } from "../../security/bus_sealing.ts";
import { Secret } from "../../security/secret.ts";
import { Log } from "../../lib/log.ts";
import type { Fault } from "../../services/vk/fake/faults.ts";
import { startFakeServer } from "../../services/vk/fake/server.ts";
import { Listener } from "../support/listener.ts";
import { NodeProcess, SECRET_KEY } from "../support/node_process.ts";
import { administrator, makePeople, type Person } from "../support/person.ts";
import { TaskProcess } from "../support/task_process.ts";

/** Unique tokens; VK does not know the last two. */
const TOKENS = ["fake-user-717171717", "fake-user-727272727", "fake-user-0-secret&more=%41", "secret+token/with=signs"];
/** The tokens in plain and in encoded forms. */
const FORMS = TOKENS.flatMap((token) => [
  token,
  encodeURIComponent(token),
  Buffer.from(token).toString("base64").replace(/=+$/, ""),
  Buffer.from(token).toString("base64url"),
  Buffer.from(token).toString("hex"),
]);
const FAULTS: Fault[] = [
  { kind: "captcha", form: "old" },
  { kind: "captcha", form: "new" },
  { kind: "validation" },
  ...[2, 5, 7, 10, 15, 24, 100, 113, 29, 9].map((code): Fault => ({
    kind: "error",
    code,
    // A message of VK may have the token.
    message: `What is ${TOKENS.join(", ")}?`,
  })),
  // These stop requests to VK for a while.
  { kind: "html", status: 502 },
  { kind: "truncated" },
  { kind: "reset" },
];

function assertClean(where: string, text: string): void {
  for (const form of FORMS) {
    const at = text.indexOf(form);
    assert.ok(at < 0, `A token is in ${where}: …${text.slice(Math.max(0, at - 100), at + 100)}…`);
  }
}

Deno.test("A VK token appears only in requests to VK", async () => {
  await using server = await startFakeServer();
  const { fake } = server;
  Object.assign(fake.switches, { calls: 10_000, echo_token: true });
  await using node = await NodeProcess.start({
    env: { VK_API_URL: server.url, LOG_LEVEL: "debug", RATE_LIMITS: "off" },
  });
  await using bus = await overheard();
  const answers: string[] = [];
  const people = await makePeople(node, TOKENS.length);
  const listener = await Listener.open(people[0]!);
  const ask = async (person: Person, method: string, path: string, body?: unknown) => {
    const { status, headers, body: answer } = await person.call(method, path, body);
    answers.push(`${status} ${JSON.stringify([...headers])} ${JSON.stringify(answer)}`);
    assert.notEqual(status, 500, `${method} ${path}`);
    return answer;
  };
  const store = (i: number) => ask(people[i]!, "PUT", "/vk/token", { token: TOKENS[i], kind: "user" });
  for (const [i, person] of people.entries()) {
    const token = TOKENS[i];
    for (
      const body of [{ token: `${token} `, kind: "user" }, { token, kind: token }, { token, kind: "user", more: 1 }]
    ) {
      await ask(person, "PUT", "/vk/token", body);
    }
    await ask(person, "PUT", "/vk/token", `{"token": "${token}", "kind"`);
    await store(i);
    for (const path of ["me", "101", "101/videos", "nobody_here", "104"]) await ask(person, "GET", `/vk/users/${path}`);
    await ask(person, "POST", "/vk/captcha", { success_token: "x" });
    await person.post("A post, so that there are events");
  }
  for (const [n, fault] of FAULTS.entries()) {
    fake.fault(fault, { times: 4 });
    await ask(people[0]!, "GET", `/vk/users/${1_000 + n}${n % 2 ? "/videos" : ""}`);
    fake.faults.clear();
    await store(0);
  }
  const [first, second] = people as [Person, Person];
  await ask(second, "DELETE", "/vk/token");
  await (await administrator(node)).do("DELETE", `/users/${second.id}`);
  const resealed = await TaskProcess.run("keys", ["reseal"], node.settings);
  assert.equal(resealed.code, 0, resealed.output);

  assert.deepEqual(new Set(fake.log.map(({ token_from }) => token_from)), new Set(["header"]));
  assert.ok(fake.log.length > 20, `${fake.log.length} calls`);
  assertClean("a request to VK", JSON.stringify(fake.log));
  assertClean("an answer", answers.join("\n"));
  for (const path of ["/metrics", "/openapi.json", "/readyz"]) {
    assertClean(path, await (await fetch(node.url + path)).text());
  }
  for (const part of first.token.split(".")) assertClean("a JWT", Buffer.from(part, "base64url").toString("latin1"));
  assertClean("the live feed", JSON.stringify(listener.frames));
  listener.cut();
  for (const [table, text] of await tables(node)) assertClean(`the table ${table}`, text);
  for (const [key, text] of await redisKeys(node)) assertClean(`Redis at ${key}`, key + text);
  assertClean("NATS", bus.heard.join("\n"));
  await node.stop();
  assertClean("the log", node.output);
  assert.match(node.output, /VK rejected a request/);
  for await (const [path, text] of filesIn(node.dataDir)) assertClean(path, text);
});

/** Every row of every table, as text. */
async function tables(node: NodeProcess): Promise<[string, string][]> {
  const names = await node.sql.query<{ name: string }>(
    `select table_name as name from information_schema.tables
    where table_schema = 'public' and table_type = 'BASE TABLE'`,
  );
  assert.ok(names.some(({ name }) => name === "vk_tokens") && names.some(({ name }) => name === "events"));
  return await Promise.all(names.map(async ({ name }): Promise<[string, string]> => {
    const rows = await node.sql.query<{ row: string }>(`select t::text as row from "${name}" t`);
    return [name, rows.map(({ row }) => row).join("\n")];
  }));
}

/** All keys of this installation in Redis, with the copies of tokens. Empty without Redis. */
async function redisKeys(node: NodeProcess): Promise<[string, string][]> {
  const url = Deno.env.get("TEST_REDIS_URL");
  if (url === undefined) return [];
  const redis = new Redis(url);
  try {
    const found: [string, string][] = [];
    for (const key of await redis.keys("*")) {
      if (await redis.type(key) === "string") found.push([key, await redis.get(key) ?? ""]);
    }
    assert.ok(found.some(([key]) => key.startsWith("vk:token:")), `no copy for ${node.url}`);
    return found;
  } finally {
    redis.disconnect();
  }
}

/** All messages on the bus. Empty if the bus is inside the process. */
async function overheard(): Promise<{ heard: string[] } & AsyncDisposable> {
  const url = Deno.env.get("TEST_NATS_URL");
  const heard: string[] = [];
  if (url === undefined) return { heard, [Symbol.asyncDispose]: () => Promise.resolve() };
  const { seal, open } = busKey();
  const bus = new NatsBus(url, {
    log: new Log("error"),
    sealing: { seal, open: (data, to) => open(data, to) ?? data },
  });
  await bus.subscribe("rookery.>", (message, subject) => void heard.push(`${subject} ${message}`));
  return { heard, [Symbol.asyncDispose]: async () => await bus[Symbol.asyncDispose]() };
}

/** As the nodes have it. It opens requests, too, though it only listens. */
function busKey(): Sealing {
  const sealing = new BusSealing(new Secret(SECRET_KEY));
  return {
    seal: (data, context) => sealing.seal(data, context),
    open: (data, context) => sealing.open(data, context) ?? sealing.open(data, context.replace("signal", "request")),
  };
}

/** With the embedded database these include its files and its write-ahead log. */
async function* filesIn(folder: string): AsyncGenerator<[string, string]> {
  for await (const entry of Deno.readDir(folder)) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory) yield* filesIn(path);
    else if (entry.isFile) yield [path, Buffer.from(await Deno.readFile(path)).toString("latin1")];
  }
}

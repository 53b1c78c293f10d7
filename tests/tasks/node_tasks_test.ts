/** Tasks that act on a running installation, as processes. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { sleep } from "../../lib/sleep.ts";
import { freshDataDir } from "../support/database.ts";
import { call } from "../support/api.ts";
import { emptyFolder, NodeProcess } from "../support/node_process.ts";
import { administrator, makePeople, type Person } from "../support/person.ts";
import { boundToParent, freePort } from "../support/servers.ts";
import { TaskProcess } from "../support/task_process.ts";
import { until } from "../support/wait.ts";

interface Census {
  verified: number;
  pages: number;
  posts: number;
  replies: number;
  following: number;
  requested: number;
  likes: number;
}

const SECRET_KEY = "the secret key of the tasks test, 32 characters";

Deno.test("deno task listen shows the feed without gaps over a restart of the server", async () => {
  // The same port after a restart, as in an installation.
  await using node = await NodeProcess.start({ env: { PORT: String(await freePort()) } });
  const [reader, writer] = await makePeople(node, 2) as [Person, Person];
  await reader.do("PUT", `/pages/${writer.page_id}/follow`);
  await using task = new TaskProcess("listen", [
    "--url",
    node.url,
    "--login",
    reader.login,
    "--password",
    reader.password,
  ]);
  await task.says("ends the account's other session");
  await task.says("Listening at");
  assert.equal((await reader.call("GET", "/feed")).status, 401, "the other session is still valid");
  await writer.post("Before the restart \u001b[31m");
  await task.says("Before the restart [31m");
  assert.ok(!task.output.includes("\u001b"), "no escape sequences without a terminal");
  await node.kill();
  await task.says("retrying in");
  await node.restart();
  await writer.post("While the listener reconnects");
  await writer.post("After the restart");
  await task.says("After the restart");
  const said = ["Before the restart", "While the listener reconnects", "After the restart"];
  assert.deepEqual(said.map((text) => task.output.split(text).length - 1), [1, 1, 1], task.output);
  assert.equal(await task.interrupt(), 0);
});

Deno.test("deno task listen renews its token while the server is unavailable", async () => {
  await using node = await NodeProcess.start({ env: { PORT: String(await freePort()), ACCESS_TOKEN_TTL: "5s" } });
  const [reader] = await makePeople(node, 1) as [Person];
  await using task = new TaskProcess("listen", ["--url", node.url, "--login", reader.login], {
    ROOKERY_PASSWORD: reader.password,
  });
  await task.says("Listening at");
  await node.kill();
  await task.says("retrying in");
  await sleep(5_100);
  await node.restart();
  await until("the task listens again", () => task.output.split("Listening at").length >= 3, { timeoutMs: 30_000 });
});

Deno.test("deno task listen reports why it ended by its exit code", async () => {
  await using node = await NodeProcess.start();
  const [reader] = await makePeople(node, 1) as [Person];
  const run = (...args: string[]) => TaskProcess.run("listen", ["--url", node.url, ...args]);
  assert.equal((await run()).code, 2);
  assert.equal((await run("--login", reader.login, "--password", "wrong")).code, 3);
  assert.equal((await run("--token", "nonsense")).code, 3);
  await using elsewhere = new TaskProcess("listen", ["--url", node.url, "--token", reader.token]);
  await elsewhere.says("Listening at");
  await reader.signIn();
  await elsewhere.says("The session or the token has ended");
  await using blocked = new TaskProcess("listen", ["--url", node.url, "--token", reader.token]);
  await blocked.says("Listening at");
  const admin = await administrator(node);
  await admin.do("POST", `/users/${reader.id}/block`, { reason: "test" });
  await blocked.says("The account is blocked");
});

Deno.test("deno task demo fills an empty installation, and a second run continues it", async () => {
  await using node = await NodeProcess.start({ env: { REQUIRE_VERIFIED_EMAIL: "true" } });
  const args = ["--url", node.url, "--users", "12", "--posts", "40", "--seed", "7"];
  const first = await TaskProcess.run("demo", args);
  assert.equal(first.code, 0, first.output);
  const before = await census(node);
  assert.ok(before.verified >= 12 && before.posts === 40 && before.replies > 0, JSON.stringify(before));
  assert.ok(before.following > 12 && before.requested > 0 && before.likes > 0, JSON.stringify(before));
  const second = await TaskProcess.run("demo", args);
  assert.equal(second.code, 0, second.output);
  assert.deepEqual(await census(node), before);
  const [, login, password] = /^ {2}(\w+) +(\S+) /m.exec(second.output)!;
  assert.equal((await call(node, "POST", "/security/login", { body: { login, password } })).status, 200);
  const other = await TaskProcess.run("demo", [...args, "--password", "An0ther-one"]);
  assert.equal(other.code, 1);
  assert.match(other.output, /exists already with another password/);
});

Deno.test("deno task demo lets an administrator create the accounts if registration is closed", async () => {
  await using node = await NodeProcess.start({ env: { REGISTRATION: "admin", REQUIRE_VERIFIED_EMAIL: "true" } });
  const args = ["--url", node.url, "--users", "4", "--posts", "6"];
  const refused = await TaskProcess.run("demo", args);
  assert.equal(refused.code, 1);
  assert.match(refused.output, /Only administrators can create accounts/);
  const { login, password } = await administrator(node);
  const done = await TaskProcess.run("demo", [...args, "--admin-login", login, "--admin-password", password]);
  assert.equal(done.code, 0, done.output);
  assert.equal((await census(node)).posts, 6);
});

Deno.test("deno task keys rotate: old tokens stay valid, new ones have the new key, the JWKS has both", async () => {
  await using folder = await freshDataDir();
  const env = { DATA_DIR: folder.path, SECRET_KEY };
  const unowned = { path: folder.path, [Symbol.asyncDispose]: () => Promise.resolve() };
  await using node = await NodeProcess.on(unowned, { SECRET_KEY });
  const [old] = await makePeople(node, 1) as [Person];
  const rotated = await TaskProcess.run("keys", ["rotate"], env);
  assert.equal(rotated.code, 0, rotated.output);
  const kid = /^New key (\S+?):/m.exec(rotated.output)![1]!;
  const before = kidOf(old.token);
  assert.match(rotated.output, new RegExp(`${before}  signs, until the new one does\n${kid}  waits\n`));
  await until("the node knows the new key", async () => {
    await makeItReadKeys(node);
    return (await jwks(node)).includes(kid);
  }, { timeoutMs: 20_000 });
  assert.deepEqual(new Set(await jwks(node)), new Set([before, kid]));
  await old.signIn();
  assert.equal(kidOf(old.token), before, "a key signs before every node has it");
  // As if the waiting time had passed.
  await node.sql.execute("update signing_keys set created_at = created_at - interval '10 minutes'");
  const oldest = old.token;
  await until("the node signs with the new key", async () => {
    await makeItReadKeys(node);
    assert.equal((await call(node, "GET", "/users/me", { token: oldest })).status, 200, "an old token is invalid");
    return kidOf((await administrator(node)).token) === kid;
  }, { timeoutMs: 20_000 });
  assert.deepEqual(new Set(await jwks(node)), new Set([before, kid]));
  await node.stop();
  const listed = await TaskProcess.run("keys", ["list"], env);
  assert.equal(listed.code, 0, listed.output);
  assert.match(listed.output, new RegExp(`${before}  checks\n${kid}  signs\n`));
});

Deno.test("deno task migrate works on files without a server, and does nothing while one runs", async () => {
  await using folder = await freshDataDir({ migrated: false });
  const env = { DATA_DIR: folder.path, SECRET_KEY };
  assert.match((await TaskProcess.run("keys", ["list"], env)).output, /start Rookery once/);
  const migrated = await TaskProcess.run("migrate", [], env);
  assert.equal(migrated.code, 0, migrated.output);
  assert.match(migrated.output, /\d+ applied/);
  const unowned = { path: folder.path, [Symbol.asyncDispose]: () => Promise.resolve() };
  await using _node = await NodeProcess.on(unowned, { SECRET_KEY });
  const { code, output } = await TaskProcess.run("migrate", [], env);
  assert.equal(code, 0, output);
  assert.match(output, /A server is running/);
});

Deno.test("deno task start needs no settings: its data is in ./data, and it stops cleanly", async () => {
  await using folder = await emptyFolder();
  const root = new URL("../../", import.meta.url).pathname;
  const [program, args] = boundToParent([
    Deno.execPath(),
    "run",
    "-A",
    "--config",
    `${root}deno.json`,
    `${root}main.ts`,
  ]);
  const child = new Deno.Command(program, {
    args,
    cwd: folder.path,
    env: { PORT: "0", DATA_DIR: "", LOG_LEVEL: "error" },
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  let output = "";
  let ended = false;
  const reading = (async () => {
    for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) output += chunk;
    ended = true;
  })();
  await until("it is ready", () => ended || output.includes("Rookery is ready at"), { timeoutMs: 60_000 });
  assert.match(output, /^The administrator is "admin" with the password \S+/m);
  assert.match(output, /^Rookery is ready at http:\/\/127\.0\.0\.1:\d+$/m);
  await until("it says what VK is", () => output.includes("VK_API_URL="), { timeoutMs: 10_000 });
  assert.match(
    output,
    /^VK is the bundled fake at http:\/\/127\.0\.0\.1:\d+; for the real one, set VK_API_URL=https:\/\/api\.vk\.ru$/m,
  );
  child.kill("SIGTERM");
  assert.equal((await child.status).code, 0);
  await reading;
});

async function census(node: NodeProcess): Promise<Census> {
  const [counts] = await node.sql.query<Census>(`select
    (select count(*) from users where email_verified_at is not null) as verified,
    (select count(*) from pages) as pages,
    (select count(*) from posts) as posts,
    (select count(*) from posts where reply_to is not null) as replies,
    (select count(*) from follows where state = 'following') as following,
    (select count(*) from follows where state = 'requested') as requested,
    (select count(*) from likes) as likes`);
  return counts!;
}

async function jwks(node: NodeProcess): Promise<string[]> {
  const { keys } = await (await fetch(`${node.url}/.well-known/jwks.json`)).json() as { keys: { kid: string }[] };
  return keys.map(({ kid }) => kid);
}

/** A token with an unknown key id makes a node read the keys again. */
async function makeItReadKeys(node: NodeProcess): Promise<void> {
  const header = { alg: "EdDSA", typ: "at+jwt", kid: crypto.randomUUID() };
  const token = `${encode(header)}.${encode({})}.${Buffer.alloc(64).toString("base64url")}`;
  assert.equal((await call(node, "GET", "/users/me", { token })).status, 401);
}

function kidOf(token: string): string {
  return JSON.parse(Buffer.from(token.split(".")[0]!, "base64url").toString()).kid;
}

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}

Deno.test("deno task jobs counts, lists, retries and drops jobs while a server runs", async () => {
  await using node = await NodeProcess.start({ full: false });
  const env = { DATA_DIR: node.dataDir, SECRET_KEY };
  const [dead, unknown] = [crypto.randomUUID(), crypto.randomUUID()];
  await node.sql.execute(
    `insert into jobs (id, kind, payload, state, run_at, last_error)
    values ($1, 'test.gone', '{}', 'dead', now(), E'no luck\\x1b[31m'),
      ($2, 'test.gone', '{}', 'unknown', now(), 'who knows')`,
    [dead, unknown],
  );
  assert.match((await TaskProcess.run("jobs", [], env)).output, /^dead +1$/m);
  const listed = (await TaskProcess.run("jobs", ["list"], env)).output;
  assert.ok(
    listed.includes(dead) && !listed.includes(unknown) && listed.includes("no luck") && !listed.includes("\x1b[31m"),
  );
  assert.ok((await TaskProcess.run("jobs", ["list", "unknown", "--kind", "test.gone"], env)).output.includes(unknown));
  assert.equal((await TaskProcess.run("jobs", ["retry", unknown], env)).code, 1, "an unknown job is not retried");
  const retried = await TaskProcess.run("jobs", ["retry", "--all"], env);
  assert.deepEqual([retried.code, retried.output], [0, `${dead} waits again\n`]);
  assert.match((await TaskProcess.run("jobs", ["drop", unknown], env)).output, /is gone/);
  assert.match((await TaskProcess.run("jobs", ["list", "unknown"], env)).output, /^No unknown jobs$/m);
  for (const wrong of [["fly"], ["list", "asleep"], ["retry"], ["drop"], ["retry", "--all", dead], ["--nonsense"]]) {
    assert.equal((await TaskProcess.run("jobs", wrong, env)).code, 2, wrong.join(" "));
  }
});

/** `deno task kv` against a running installation. */
import assert from "node:assert/strict";
import { NodeProcess } from "../support/node_process.ts";
import { administrator, makePeople, type Person } from "../support/person.ts";
import { TaskProcess } from "../support/task_process.ts";

Deno.test("deno task kv writes, reads, lists and removes keys", async () => {
  await using node = await NodeProcess.start();
  const [owner, other] = await makePeople(node, 2) as [Person, Person];
  const run = (...args: string[]) => TaskProcess.run("kv", args, { ROOKERY_TOKEN: owner.token });
  const kv = async (...args: string[]) => {
    const { code, output } = await run("--url", node.url, ...args);
    assert.equal(code, 0, output);
    return output;
  };

  // Long numbers and spaces in a value are unchanged, and "__proto__" is an ordinary key.
  const long = '{ "n": 12345678901234567890.10, "a": [1e400] }';
  assert.equal(await kv("put", "a b", long, "__proto__", '"robin"', "twig/1", "null"), "");
  assert.equal(await kv("get", "twig/1", "a b", "__proto__"), `null\n${long}\n"robin"\n`);
  assert.equal(await kv("put", "twig/1", "--", "-1"), "");
  assert.equal(await kv("get", "twig/1"), "-1\n", "the existing value stays");
  assert.equal(await kv("ls"), '"__proto__"\n"a b"\n"twig/1"\n');
  assert.equal(await kv("ls", "twig/"), '"twig/1"\n');

  const many = Array.from({ length: 120 }, (_, i) => `many/${String(i).padStart(3, "0")}`);
  await kv("put", ...many.flatMap((key) => [key, "1"]));
  assert.deepEqual((await kv("ls", "many/")).trim().split("\n").map((line) => JSON.parse(line)), many);

  assert.equal(await kv("rm", "twig/1", "twig/2"), 'There was no key "twig/2"\n');
  const missing = await run("--url", node.url, "get", "a b", "twig/1");
  assert.equal(missing.code, 1);
  assert.match(missing.output, /No such key: "twig\/1"/);
  assert.ok(!missing.output.includes("12345"), "no value is printed if a key is missing");

  await kv("put", "--shared", "nest", "[]");
  assert.equal(await kv("ls", "nest"), "");
  const theirs = await TaskProcess.run("kv", ["--url", node.url, "--token", other.token, "--shared", "get", "nest"]);
  assert.deepEqual(theirs, { code: 0, output: "[]\n" });
});

Deno.test("deno task kv reports errors with different exit codes", async () => {
  await using node = await NodeProcess.start();
  const [owner] = await makePeople(node, 1) as [Person];
  const run = (...args: string[]) => TaskProcess.run("kv", ["--url", node.url, ...args]);
  const token = ["--token", owner.token];
  for (const words of [[], ["get"], ["rm"], ["put", "a"], ["put", "a", "1", "b"], ["ls", "a", "b"], ["show", "a"]]) {
    const { code, output } = await run(...token, ...words);
    assert.equal(code, 2, words.join(" "));
    assert.match(output, /\(usage: deno task kv --help\)\n$/);
  }
  assert.equal((await run("ls")).code, 2, "no account is given");
  const unquoted = await run(...token, "put", "a", "robin");
  assert.equal(unquoted.code, 2);
  assert.match(unquoted.output, /robin is no JSON.*'"robin"'/);
  const twice = await run(...token, "put", "a", "1", "a", "2");
  assert.equal(twice.code, 1);
  assert.match(twice.output, /more than once/);
  assert.equal((await run("--token", "nonsense", "ls")).code, 3);
  assert.equal((await run("--login", owner.login, "--password", "wrong", "ls")).code, 3);

  const signedIn = await run("--login", owner.login, "--password", owner.password, "ls");
  assert.equal(signedIn.code, 0);
  assert.match(signedIn.output, /ends the account's other session/);
  assert.equal((await run(...token, "ls")).code, 3, "the other session is still valid");
  await owner.signIn();
  const admin = await administrator(node);
  await admin.do("POST", `/users/${owner.id}/block`, { reason: "test" });
  assert.equal((await run("--token", owner.token, "ls")).code, 4);
});

/** Roles and passwords, changed on the machine itself. */
import assert from "node:assert/strict";
import { call } from "../support/api.ts";
import { NodeProcess } from "../support/node_process.ts";
import { ADMIN, makePeople, Person } from "../support/person.ts";
import { RawSocket } from "../support/raw_socket.ts";
import { TaskProcess } from "../support/task_process.ts";

const passwordIn = (output: string) => / is (\S+) \(printed only this once\)/.exec(output)![1]!;

Deno.test("deno task admin acts while the server runs, and the next request sees it", async () => {
  await using node = await NodeProcess.start();
  const admin = (...args: string[]) => TaskProcess.run("admin", args, node.settings);
  const [ann, bob] = await makePeople(node, 2) as [Person, Person];
  // The node caches her role.
  assert.equal((await ann.call("GET", "/moderation/log")).status, 403);
  const granted = await admin("grant", ann.login.toUpperCase());
  assert.deepEqual(granted, { code: 0, output: `"${ann.login}" is an administrator now\n` });
  assert.equal((await ann.call("GET", "/moderation/log")).status, 200);
  assert.equal((await ann.do("GET", "/users/me")).role, "admin");
  assert.match((await admin("list")).output, /^admin +admin .*\nadmin +person0 .*|^admin +person0 .*\nadmin +admin .*/);

  assert.match((await admin("revoke", "admin")).output, /"admin" is a user now/);
  assert.equal((await ann.do("PUT", `/users/${bob.id}/role`, { role: "moderator" })).role, "moderator");
  const last = await admin("revoke", ann.login);
  assert.equal(last.code, 1);
  assert.match(last.output, /last administrator/);
  assert.equal(
    (await admin("grant", ann.login, "moderator")).code,
    1,
    "another role also removes the last administrator",
  );
  assert.equal((await ann.do("GET", "/users/me")).role, "admin");

  const log = (await ann.do("GET", "/moderation/log")).items as { act: string; actor: unknown; reason: string }[];
  assert.deepEqual(log.map(({ act, actor }) => [act, (actor as { role: string }).role]), [
    ["account.role", "admin"],
    ["account.role", "system"],
    ["account.role", "system"],
  ]);
  assert.match(log[2]!.reason, /operator/);
  await TaskProcess.done("moderation_verify", [], node.settings);
});

Deno.test("deno task admin password replaces the password at once and ends the session", async () => {
  await using node = await NodeProcess.start();
  const [ann] = await makePeople(node, 1) as [Person];
  const socket = await RawSocket.open(`${node.url}/api/v1/feed/live`, { Authorization: `Bearer ${ann.token}` });
  assert.equal((await socket.next())?.kind, "text");
  const output = await TaskProcess.done("admin", ["password", ann.login], node.settings);
  assert.equal((await ann.call("GET", "/users/me")).status, 401, "the old session is still valid");
  const old = await call(node, "POST", "/security/login", { body: { login: ann.login, password: ann.password } });
  assert.equal(old.status, 401, "the old password is still valid");
  let closed;
  for (let next = await socket.next(); next; next = await socket.next()) if (next.kind === "close") closed = next;
  assert.ok(closed, "the old session's socket is still open");
  await new Person(node, ann.login, passwordIn(output)).signIn();
  assert.equal(node.output.includes(passwordIn(output)), false);
  const verified = await TaskProcess.done("moderation_verify", [], node.settings);
  assert.match(verified, /^1 entry/);
});

Deno.test("deno task admin needs no server, and reports unknown and invalid arguments", async () => {
  await using node = await NodeProcess.start({ full: false });
  await node.stop();
  const env = node.settings;
  const password = passwordIn(await TaskProcess.done("admin", ["password", "admin"], env));
  const unknown = await TaskProcess.run("admin", ["grant", "nobody"], env);
  assert.deepEqual(unknown, { code: 1, output: 'No account has the login "nobody"\n' });
  for (
    const wrong of [
      [],
      ["fly"],
      ["grant"],
      ["grant", "admin", "king"],
      ["grant", "admin", "toString"],
      ["revoke"],
      [
        "revoke",
        "admin",
        "now",
      ],
      ["password", "admin", "chosen"],
      ["list", "all"],
      ["password", "--nobody"],
    ]
  ) assert.equal((await TaskProcess.run("admin", wrong, env)).code, 2, wrong.join(" "));
  await node.restart();
  await new Person(node, "admin", password).signIn();
  const body = { login: "admin", password: ADMIN.password };
  assert.equal((await call(node, "POST", "/security/login", { body })).status, 401);
});

/** The key–value store as a separate process: its own checks, and the state after its death. */
import assert from "node:assert/strict";
import { sleep } from "../../lib/sleep.ts";
import { call } from "../support/api.ts";
import { fullTest } from "../support/full.ts";
import { Installation } from "../support/installation.ts";
import { type NodeProcess, SECRET_KEY } from "../support/node_process.ts";
import { administrator, makePeople, type Person } from "../support/person.ts";

import { freePort } from "../support/servers.ts";
import { until } from "../support/wait.ts";

/** A node without the store, and the store, which keeps its port over a restart. */
async function startApart(): Promise<{ installation: Installation; api: NodeProcess; kv: NodeProcess }> {
  await using stack = new AsyncDisposableStack();
  const installation = stack.use(await Installation.open({ redis: false, nats: false }));
  const kv = await installation.start({ ROLES: "kv", PORT: String(await freePort()) });
  const api = await installation.start({ ROLES: "api,actors,jobs,storage,mail", KV_URL: kv.url });
  stack.move();
  return { installation, api, kv };
}

fullTest("A separate store authenticates callers itself, and its failure affects nothing else", async () => {
  const { installation, api, kv } = await startApart();
  await using _ = installation;
  const [ada, blocked, gone] = await makePeople(api, 3) as [Person, Person, Person];
  const read = (node: NodeProcess, token: string) =>
    call(node, "POST", "/kv/read", { token, body: { keys: ["a"] }, declaredBy: api }).then(({ status, body }) => [
      status,
      body.data ?? body.type.split(/[/#]/).at(-1),
    ]);
  for (const person of [ada, blocked, gone]) await person.do("POST", "/kv/write", { data: { a: person.login } });
  // Through the node or directly, it is the same store.
  for (const node of [api, kv]) assert.deepEqual(await read(node, ada.token), [200, { a: ada.login }]);
  assert.equal((await fetch(`${kv.url}/readyz`).then((answer) => answer.json())).status, "ready");
  assert.equal((await call(kv, "GET", "/feed", { token: ada.token, undeclared: true })).status, 404);

  const { token: old } = ada;
  await ada.signIn();
  const admin = await administrator(api);
  await admin.do("POST", `/users/${blocked.id}/block`, { reason: "test" });
  await admin.do("DELETE", `/users/${gone.id}`);
  for (const node of [api, kv]) {
    assert.deepEqual(await read(node, old), [401, "token-outdated"]);
    assert.deepEqual(await read(node, blocked.token), [403, "account-blocked"]);
    assert.deepEqual(await read(node, gone.token), [401, "token-invalid"]);
    assert.deepEqual(await read(node, `${ada.token.slice(0, -4)}AAAA`), [401, "token-invalid"]);
  }

  assert.equal((await kv.stop()).code, 0);
  assert.deepEqual(await read(api, ada.token), [503, "kv-unavailable"]);
  await ada.post("Posts still work");
  assert.equal((await ada.do("GET", "/feed")).items.length, 1);
  assert.equal((await fetch(`${api.url}/readyz`).then((answer) => answer.json())).status, "ready");
  await kv.restart();
  assert.deepEqual(await read(api, ada.token), [200, { a: ada.login }]);

  // While the secret changes, the previous one still decrypts.
  const changed = await installation.start({
    ROLES: "kv",
    SECRET_KEY: "another secret key, 32 characters or more",
    SECRET_KEY_PREVIOUS: SECRET_KEY,
  });
  assert.deepEqual(await read(changed, ada.token), [200, { a: ada.login }]);
});

fullTest("A killed store has written each batch completely once or not at all", async () => {
  const { installation, api, kv } = await startApart();
  await using _ = installation;
  const [ada] = await makePeople(api, 1) as [Person];
  const batch = (n: number) => Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`${n}/${i}`, n]));
  let next = 0;
  let uncertain = 0;
  let done = false;
  const write = (n: number) => ada.call("POST", "/kv/write", { data: batch(n) }, { "idempotency-key": `batch-${n}` });
  /** Writes until stopped. Unacknowledged batches are retried with their key and must not conflict with themselves. */
  const writer = async () => {
    while (!done) {
      const n = next++;
      let answer = await write(n);
      while (answer.status !== 201) {
        assert.ok([409, 503, 504].includes(answer.status), JSON.stringify(answer.body));
        if (answer.status === 504) uncertain++;
        await sleep(50);
        answer = await write(n);
      }
      assert.deepEqual(answer.body, { status: "success", ignored: [] }, `batch ${n}`);
    }
  };
  const writers = Array.from({ length: 8 }, writer);
  for (let kills = 1; kills <= 3; kills++) {
    const before = next;
    await until("writes are in progress", () => next > before + 40);
    // Stopped first: requests that arrive at that moment wait there and are lost with it.
    kv.freeze();
    await sleep(100);
    await kv.kill();
    // A killed process held its keys for a minute at most.
    await api.sql.execute("update receipts set lease_until = now() - interval '1 second' where state = 'running'");
    await kv.restart();
  }
  done = true;
  await Promise.all(writers);
  assert.ok(uncertain >= 3, `each kill must interrupt writes, got ${uncertain} unknown outcomes`);
  const [row] = await api.sql.query<{ pairs: number; torn: number }>(
    `select count(*)::int as pairs,
      (select count(*)::int from (
        select from kv group by space, split_part(key, '/', 1)
        having count(*) <> 50 or count(distinct version) <> 1) batches) as torn
    from kv`,
  );
  assert.deepEqual(row, { pairs: next * 50, torn: 0 });
});

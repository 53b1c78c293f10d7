import assert from "node:assert/strict";
import { codeOf } from "../../../services/vk/execute.ts";
import { users, utils, video, wall } from "../../../services/vk/methods.ts";
import { failureIn, innerCalls, startVk, valueOf } from "../../support/vk.ts";

Deno.test("Calls of a bundle share one execute, each with its own result", async () => {
  await using vk = await startVk();
  const [user, posts, closed, time] = await vk.as().bundle([
    users.get({ user_ids: [101] }),
    wall.get({ owner_id: 106 }),
    wall.get({ owner_id: 104 }),
    utils.getServerTime(),
  ]);
  assert.equal(valueOf(user)[0]!.first_name, "Anna");
  assert.deepEqual([failureIn(posts).code, failureIn(closed).code], [15, 30]);
  assert.ok(valueOf(time) > 1e9);
  assert.deepEqual(vk.asked(), ["execute"]);
});

Deno.test("A single call is sent directly", async () => {
  await using vk = await startVk();
  assert.equal(valueOf((await vk.as().bundle([wall.get({ owner_id: 101, count: 1 })]))[0]).count, 14);
  assert.deepEqual(vk.asked(), ["wall.get"]);
});

Deno.test("More than 25 calls need as few requests as possible", async () => {
  await using vk = await startVk();
  const ids = Array.from({ length: 60 }, (_, i) => 1_000 + i);
  const results = await vk.as().bundle(ids.map((id) => users.get({ user_ids: [id] })));
  assert.deepEqual(results.map((result) => valueOf(result)[0]!.id), ids);
  assert.deepEqual(vk.fake.log.map((entry) => innerCalls(entry).length).sort(), [10, 25, 25]);
});

Deno.test("Calls that wait together are sent together: twelve bundles of three need two requests", async () => {
  await using vk = await startVk({ limits: { calls: 1, windowMs: 150 } });
  vk.fake.switches.calls = 1_000;
  const as = vk.as();
  const bundles = await Promise.all(
    Array.from(
      { length: 12 },
      (_, i) =>
        as.bundle([
          users.get({ user_ids: [200 + i] }),
          wall.get({ owner_id: 200 + i }),
          video.get({ owner_id: 200 + i }),
        ]),
    ),
  );
  for (const [i, [user, posts]] of bundles.entries()) {
    assert.equal(valueOf(user)[0]!.id, 200 + i);
    assert.equal(valueOf(posts).count, (200 + i) % 50);
  }
  // One request has room for eight bundles of three.
  assert.deepEqual(vk.fake.log.map((entry) => innerCalls(entry).length), [24, 12]);
});

Deno.test("Values go into a script as JSON", async () => {
  const params = { screen_name: 'x"); return API.users.get({});//\u2028', count: 1, extended: true, ids: [1, 2] };
  const code = codeOf([{ method: "utils.resolveScreenName", params }]);
  assert.equal(
    code,
    `return [API.utils.resolveScreenName(${JSON.stringify({ ...params, extended: 1, ids: "1,2" })})];`,
  );
  await using vk = await startVk();
  const asked = await vk.as().bundle([utils.resolveScreenName(params), utils.resolveScreenName(params)]);
  assert.deepEqual(asked.map(valueOf), [undefined, undefined]);
  assert.throws(() => codeOf([{ method: "users.get({});x", params: {} }]), TypeError);
});

Deno.test("An inner call that failed temporarily or needs the person is sent again alone", async () => {
  await using vk = await startVk();
  const asked = [users.get({ user_ids: [101] }), wall.get({ owner_id: 101 })] as const;
  vk.fake.fault({ kind: "error", code: 10 }, { method: "wall.get" });
  assert.equal(valueOf((await vk.as().bundle(asked))[1]).count, 14);
  assert.deepEqual(vk.asked(), ["execute", "wall.get"]);
  vk.fake.fault({ kind: "captcha", form: "new" }, { method: "wall.get" });
  // A script's errors have no links.
  assert.match(failureIn((await vk.as().bundle(asked))[1]).captcha!.redirect_uri!, /^https:/);
});

Deno.test("A script that VK rejects is replaced by single calls", async () => {
  for (const code of [12, 13, 28, 29]) {
    await using vk = await startVk();
    vk.fake.fault({ kind: "error", code }, { method: "execute" });
    const [user, posts] = await vk.as().bundle([users.get({}), wall.get({ owner_id: 101 })]);
    assert.deepEqual([valueOf(user)[0]!.id, valueOf(posts).count], [101, 14], String(code));
    assert.deepEqual(vk.asked().sort(), ["execute", "users.get", "wall.get"]);
  }
});

Deno.test("A token that may not use execute is remembered", async () => {
  await using vk = await startVk();
  vk.fake.switches.service_execute = false;
  const ask = () => vk.as("fake-service").bundle([users.get({ user_ids: [101] }), wall.get({ owner_id: 101 })]);
  for (let i = 0; i < 2; i++) assert.deepEqual((await ask()).map((result) => result.ok), [true, true]);
  assert.deepEqual(vk.asked().filter((method) => method === "execute").length, 1);
  await vk.as("fake-user-101").bundle([users.get({}), wall.get({})]);
  assert.equal(vk.asked().at(-1), "execute", "other tokens still use execute");
});

Deno.test("A failure of the whole request fails all calls that share it", async () => {
  await using vk = await startVk();
  const as = vk.as("fake-expired");
  const results = await Promise.all(
    Array.from({ length: 4 }, () => as.bundle([users.get({}), wall.get({})])),
  );
  for (const result of results.flat()) assert.equal(failureIn(result).kind, "token-dead");
  assert.deepEqual(vk.asked(), ["execute"]);
});

Deno.test("A paused method is left out of the bundle", async () => {
  await using vk = await startVk();
  vk.fake.switches.wall_gets_a_day = 0;
  const ask = async () => {
    const [user, posts] = await vk.as().bundle([users.get({}), wall.get({}), utils.getServerTime()]);
    assert.equal(valueOf(user)[0]!.id, 101);
    return failureIn(posts).kind;
  };
  assert.deepEqual([await ask(), await ask()], ["quota", "quota"]);
  assert.deepEqual(vk.fake.log.map(innerCalls).map((calls) => calls.length), [3, 2]);
});

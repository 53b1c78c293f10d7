import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";
import { verifyChain } from "../../db/moderation_log.ts";
import { pngOf } from "../support/pictures.ts";
import type { Json } from "../support/api.ts";
import { ALL_ROLES, ownApp } from "../support/app.ts";
import { NodeProcess, SECRET_KEY } from "../support/node_process.ts";
import { administrator, makePeople, newLogin, type Person, type Person as Caller } from "../support/person.ts";
import { readyAvatar } from "../support/ready_avatar.ts";
import { TaskProcess } from "../support/task_process.ts";
import { until } from "../support/wait.ts";

/** Another administrator would change what is refused. */
const app = ownApp(ALL_ROLES);
const PICTURE = { name: "square.png", data: (await pngOf(400, 400)).toBase64() };
const soon = (ms: number) => new Date(Date.now() + ms).toISOString();

async function log(query: Record<string, string> = {}): Promise<Json[]> {
  const { token } = await app.admin();
  return (await app.ok("GET", `/moderation/log?${new URLSearchParams({ limit: "100", ...query })}`, { token })).items;
}

/** The record's entries about these targets, oldest first. */
async function entriesAbout(...targets: string[]): Promise<Json[]> {
  return (await log()).filter(({ target }) => targets.includes(target.id)).reverse();
}

Deno.test("Every act of moderation is recorded: actor, act, target, time, reason, before and after", async () => {
  const started = Date.now();
  const admin = await app.admin();
  const [moderator, ann] = [await app.moderator(), await app.person()];
  const [page, post] = [await app.page(ann, { uuid: `h${ann.login}` }), await app.post(ann, { text: "Buy my owls" })];
  const until = soon(3_600_000);
  const by = { token: moderator.token };
  await app.ok("POST", `/pages/${page.id}/block`, { ...by, body: { reason: "owls", until } });
  await app.ok("DELETE", `/pages/${page.id}/block?reason=an+error`, by);
  await app.ok("DELETE", `/posts/${post.id}?reason=trade`, by);
  const as = { token: admin.token };
  await app.ok("POST", `/users/${ann.id}/block`, { ...as, body: { reason: "more owls" } });
  await app.ok("DELETE", `/users/${ann.id}/block`, as);
  await app.ok("PUT", `/users/${ann.id}/role`, { ...as, body: { role: "moderator", reason: "knows owls" } });
  await app.ok("DELETE", `/users/${ann.id}?reason=left`, as);

  const entries = await entriesAbout(page.id, post.id, ann.id);
  const block = { reason: "owls", until };
  assert.deepEqual(
    entries.map((
      { act, target, actor, reason, before, after },
    ) => [act, target.name, actor.login, reason, before, after]),
    [
      ["page.block", page.uuid, moderator.login, "owls", { blocked: null }, { blocked: block }],
      ["page.unblock", page.uuid, moderator.login, "an error", { blocked: block }, { blocked: null }],
      ["post.delete", `${ann.login}: Buy my owls`, moderator.login, "trade", entries[2].before, null],
      ["account.block", ann.login, "admin", "more owls", { blocked: null }, {
        blocked: { reason: "more owls", until: null },
      }],
      ["account.unblock", ann.login, "admin", null, { blocked: { reason: "more owls", until: null } }, {
        blocked: null,
      }],
      ["account.role", ann.login, "admin", "knows owls", { role: "user" }, { role: "moderator" }],
      ["account.delete", ann.login, "admin", "left", entries[6].before, null],
    ],
  );
  assert.deepEqual([entries[2].before.text, entries[2].before.owner_id], ["Buy my owls", ann.id]);
  const { login, role, pages } = entries[6].before;
  assert.deepEqual([login, role, pages], [ann.login, "moderator", 2]);
  assert.ok(!JSON.stringify(entries).includes(ann.email), "the record has no address");
  assert.deepEqual(entries[0].actor, { id: moderator.id, login: moderator.login, role: "moderator" });
  assert.equal(entries[0].target.kind, "page");
  for (const { at } of entries) {
    assert.ok(Date.parse(at) >= started - 1_000 && Date.parse(at) <= Date.now() + 1_000, at);
  }
});

Deno.test("An administrator's change of another profile is recorded, an own change is not", async () => {
  const admin = await app.admin();
  const ann = await app.person();
  const path = `/users/${ann.id}`;
  await app.ok("PATCH", path, { token: ann.token, body: { first_name: "Own" } });
  await readyAvatar(app, { token: ann.token, path: `${path}/avatar`, shownAt: "/users/me", body: PICTURE });
  await app.ok("DELETE", `${path}/avatar`, { token: ann.token });
  const email = `${newLogin()}@rookery.test`;
  const { token } = admin;
  await app.ok("PATCH", path, { token, body: { first_name: "Grace", email } });
  await app.ok("PATCH", path, { token, body: { first_name: "Grace" } });
  const avatar_url = await readyAvatar(app, { token, path: `${path}/avatar`, shownAt: path, body: PICTURE });
  await app.ok("DELETE", `${path}/avatar`, { token });
  await app.ok("DELETE", `${path}/avatar`, { token });
  const entries = await entriesAbout(ann.id);
  assert.deepEqual(entries.map(({ act, actor, target }) => [act, actor.id, target.name]), [
    ["account.profile", admin.id, ann.login],
    ["account.profile", admin.id, ann.login],
    ["account.profile", admin.id, ann.login],
  ]);
  const changes = entries.map(({ before, after }) => [before, after]).sort((a, b) => a.length - b.length);
  const names = { first_name: "Own", last_name: "Lovelace", email: ann.email };
  for (
    const change of [
      [{ ...names, pending_email: null }, { ...names, first_name: "Grace", pending_email: email }],
      [{ avatar_url: null }, { avatar_url }],
      [{ avatar_url }, { avatar_url: null }],
    ]
  ) assert.ok(changes.some((seen) => isDeepStrictEqual(seen, change)), JSON.stringify([change, changes]));
  assert.equal((await verifyChain(app.ctx.sql)).sound, true);
});

Deno.test("A block that expires is recorded without an actor", async () => {
  const { token } = await app.admin();
  const ann = await app.person();
  const page = await app.page(ann);
  await app.ok("POST", `/pages/${page.id}/block`, { token, body: { reason: "a moment", until: soon(3_000) } });
  await app.ok("POST", `/users/${ann.id}/block`, { token, body: { reason: "a moment", until: soon(3_000) } });
  const lapsed = await until("both ends", async () => {
    const entries = (await entriesAbout(page.id, ann.id)).filter(({ act }) => act.endsWith("_lapsed"));
    return entries.length === 2 ? entries : undefined;
  });
  for (const { actor, reason, before, after } of lapsed) {
    assert.deepEqual(actor, { id: null, login: null, role: "system" });
    assert.deepEqual([reason, before.blocked.reason, after], [null, "a moment", { blocked: null }]);
  }
});

Deno.test("Refused acts, acts without effect and own acts are not recorded", async () => {
  const admin = await app.admin();
  const [moderator, ann] = [await app.moderator(), await app.person()];
  const post = await app.post(ann);
  const staffs = await app.post(moderator);
  await app.refused("forbidden", "POST", `/pages/${ann.page_id}/block`, {
    token: moderator.token,
    body: { reason: "spam", until: null },
  });
  await app.refused("last-admin", "DELETE", `/users/${admin.id}`, { token: admin.token });
  await app.ok("DELETE", `/pages/${ann.page_id}/block`, { token: admin.token });
  await app.ok("DELETE", `/users/${ann.id}/block`, { token: admin.token });
  await app.ok("PUT", `/users/${ann.id}/role`, { token: admin.token, body: { role: "user" } });
  await app.ok("DELETE", `/posts/${post.id}`, { token: ann.token });
  await app.ok("DELETE", `/posts/${staffs.id}`, { token: moderator.token });
  assert.deepEqual(await entriesAbout(ann.page_id, ann.id, admin.id, post.id, staffs.id), []);
});

Deno.test("Administrators read the record by actor, act, target and time, in pages, each entry once", async () => {
  const admin = await app.admin();
  const [moderator, ann] = [await app.moderator(), await app.person()];
  const pages: Json[] = [];
  for (let i = 0; i < 5; i++) pages.push(await app.page(ann));
  const body = { reason: "spam", until: soon(3_600_000) };
  for (const { id } of pages) await app.ok("POST", `/pages/${id}/block`, { token: moderator.token, body });
  await app.ok("DELETE", `/pages/${pages[0].id}/block`, { token: admin.token });
  const acts = (entries: Json[]) => entries.map(({ act }) => act);
  const blocks = Array(5).fill("page.block");
  assert.deepEqual(acts(await log({ actor: moderator.id })), blocks);
  assert.deepEqual(acts(await log({ target: pages[0].id })), ["page.unblock", "page.block"]);
  assert.deepEqual(acts(await log({ target: pages[0].id, act: "page.unblock" })), ["page.unblock"]);
  assert.deepEqual(await log({ actor: admin.id, target: pages[1].id }), []);
  const mine = await log({ actor: moderator.id });
  const [from, to] = [mine[3].at, mine[0].at];
  const within = mine.filter(({ at }) => at >= from && at < to);
  assert.deepEqual(await log({ actor: moderator.id, from, to }), within);
  assert.deepEqual(await log({ actor: moderator.id, from: "9999-12-31T23:59:59Z" }), []);

  const seen: string[] = [];
  for (let cursor: string | null = ""; cursor !== null;) {
    const query = `actor=${moderator.id}&limit=2${cursor && `&cursor=${cursor}`}`;
    const page: Json = await app.ok("GET", `/moderation/log?${query}`, { token: admin.token });
    seen.push(...page.items.map(({ id }: Json) => id));
    cursor = page.next_cursor;
    // New entries do not shift the pages.
    await app.ok("POST", `/pages/${pages[4].id}/block`, { token: moderator.token, body });
  }
  assert.deepEqual(seen, mine.map(({ id }) => id));
});

Deno.test("Invalid filters and cursors are rejected", async () => {
  const { token } = await app.admin();
  const cursor = (key: unknown) => btoa(JSON.stringify(key)).replaceAll("=", "");
  for (
    const query of [
      "actor=me",
      "target=x",
      "act=page.burn",
      "from=yesterday",
      "from=0000-01-01T00:00:00Z",
      "to=9999-12-31T23:59:59-23:59",
      "to=2026-02-30T00:00:00Z",
      "limit=0",
      "cursor=x",
      `cursor=${cursor(["9".repeat(19)])}`,
      `cursor=${cursor(["-1"])}`,
      `cursor=${cursor([1])}`,
      "colour=red",
    ]
  ) {
    const { status } = await app.call("GET", `/moderation/log?${query}`, { token });
    assert.ok(status === 422 || status === 400, `${query}: ${status}`);
  }
});

Deno.test("A reason is limited in length everywhere", async () => {
  const { token } = await app.admin();
  const ann: Person = await app.person();
  const long = "x".repeat(501);
  for (
    const [method, path, body] of [
      ["DELETE", `/users/${ann.id}?reason=${long}`],
      ["DELETE", `/users/${ann.id}/block?reason=${long}`],
      ["DELETE", `/pages/${ann.page_id}/block?reason=`],
      ["PUT", `/users/${ann.id}/role`, { role: "user", reason: long }],
    ] as const
  ) await app.refused("validation", method, path, { token, body });
});

Deno.test("deno task moderation:verify checks the chain and names the first changed entry", async () => {
  await using node = await NodeProcess.start({ full: false });
  const admin = await administrator(node);
  const [ann] = await makePeople(node, 1) as [Caller];
  const env = { DATA_DIR: node.dataDir, SECRET_KEY };
  const verify = (...args: string[]) => TaskProcess.run("moderation_verify", args, env);
  const empty = await verify();
  assert.deepEqual([empty.code, empty.output.startsWith("0 entries")], [0, true], empty.output);
  for (const reason of ["one", "two", "three"]) {
    await admin.do("POST", `/pages/${ann.page_id}/block`, { reason, until: null });
  }
  const sound = await verify();
  assert.equal(sound.code, 0, sound.output);
  const end = /3 entries.* ends with (3:[0-9a-f]{64})/.exec(sound.output)![1]!;
  assert.equal((await verify("--known", end)).code, 0);
  const other = await verify("--known", end.replace(/.$/, end.endsWith("0") ? "1" : "0"));
  assert.deepEqual([other.code, /entry 3: it is not the one/.test(other.output)], [1, true], other.output);
  await node.sql.script(
    `alter table moderation_log disable trigger user; update moderation_log set reason = 'none' where seq = 2;
    alter table moderation_log enable trigger user`,
  );
  const changed = await verify();
  assert.deepEqual([changed.code, /entry 2: it was changed/.test(changed.output)], [1, true], changed.output);
  for (const args of [["--known"], ["--known", "3"], ["now"]]) assert.equal((await verify(...args)).code, 2);
});

/** A cursor belongs to its list: at any other it is refused, whatever the lists have in common. */
import assert from "node:assert/strict";
import type { Body, Person } from "../support/app.ts";
import { sharedVkApp } from "../support/vk.ts";

const { app } = sharedVkApp();

interface List {
  /** As the document spells it, with what makes it another list. */
  name: string;
  path: string;
  caller: Person;
}

interface World {
  lists: List[];
  /** Which list gave it → the cursor. */
  cursors: Map<string, string>;
  reader: Person;
}

Deno.test("Every list that the document declares is one of those tried here", async () => {
  const { lists } = await theWorld();
  const declared = Object.entries(app.contract.document.paths).flatMap(([path, { get }]) =>
    (get as Body)?.parameters?.some(({ name }: Body) => name === "cursor") ? [path.replace("/api/v1", "")] : []
  );
  assert.deepEqual([...new Set(lists.map(({ name }) => name.split(" ")[0]!))].sort(), declared.sort());
});

Deno.test("The cursor of any list is refused by every other, and taken by its own", async () => {
  const { lists, cursors } = await theWorld();
  assert.equal(cursors.size, lists.length + 2);
  for (const { name, path, caller } of lists) {
    for (const [of, cursor] of cursors) {
      const { status, slug, body } = await app.call("GET", `${path}&cursor=${cursor}`, { token: caller.token });
      const expected = of === name ? [200, undefined] : [400, "invalid-cursor"];
      assert.deepEqual([status, slug], expected, `the cursor of ${of} at ${name}: ${JSON.stringify(body)}`);
    }
  }
});

Deno.test("The live feed and read marks take their own cursors, and none of a list", async () => {
  const { cursors, reader: { token } } = await theWorld();
  for (const [of, cursor] of cursors) {
    const live = await app.call("GET", `/feed/live?cursor=${cursor}`, { token, undeclared: true });
    assert.equal(
      live.slug,
      of === "live" ? "upgrade-required" : "invalid-cursor",
      `the cursor of ${of} at the live feed`,
    );
    const read = await app.call("POST", "/notifications/read", { token, body: { up_to: cursor } });
    assert.equal(read.slug, of === "read mark" ? undefined : "invalid-cursor", `the cursor of ${of} as a read mark`);
  }
});

let world: Promise<World> | undefined;
function theWorld(): Promise<World> {
  return world ??= makeWorld();
}

async function makeWorld(): Promise<World> {
  const [admin, owner, ada, bob] = await Promise.all([app.person({ role: "admin" }), ...await app.people(3)]);
  const { token } = owner!;
  const secret = await app.page(owner!, { is_private: true });
  await app.page(owner!);
  const posts: Body[] = [];
  for (let i = 0; i < 6; i++) posts.push(await app.post(owner!));
  for (const [i, state] of ["processing", "processing", "failed", "failed"].entries()) {
    await app.ctx.sql.query("update posts set state = $2, published_at = null where id = $1", [posts[i].id, state]);
  }
  for (let i = 0; i < 2; i++) await app.post(owner!, { reply_to: posts[5].id });
  for (const post of posts.slice(4)) await app.ok("PUT", `/posts/${post.id}/like`, { token });
  for (const person of [ada!, bob!]) {
    await app.follow(person, owner!.page_id);
    await app.follow(person, secret.id);
    await app.follow(owner!, person.page_id);
    await app.follow(owner!, (await app.page(person, { is_private: true })).id);
  }
  await app.ok("PUT", "/vk/token", { token, body: { token: "fake-user-101", kind: "user" } });
  await app.ok("POST", "/kv/write", { token, body: { data: { a: 1, b: 2 } } });
  for (const [state, kind] of [["closed", "account"], ["taken", "page"], ["open", "account"]] as const) {
    for (const { id, page_id } of [ada!, bob!]) {
      const body = { target: { kind, id: kind === "account" ? id : page_id }, reason: "spam" };
      const report = await app.ok("POST", "/reports", { token, body });
      const by = { token: admin!.token };
      if (state !== "open") await app.ok("POST", `/reports/${report.id}/take`, by);
      if (state === "closed") {
        await app.ok("POST", `/reports/${report.id}/close`, { ...by, body: { outcome: "dismissed" } });
      }
    }
  }
  await app.ctx.sql.query(
    `insert into jobs (id, kind, payload, state, run_at)
    select gen_random_uuid(), 'test', '{}', 'dead', now() from generate_series(1, 2)`,
    [],
  );
  const lists: List[] = [
    ["/users", "", admin],
    ["/pages", "owner=me", owner],
    [`/people/${owner!.login}/pages`, "", ada],
    [`/pages/${owner!.page_id}/posts`, "", owner],
    [`/pages/${owner!.page_id}/posts`, "state=processing", owner],
    [`/pages/${owner!.page_id}/posts`, "state=failed", owner],
    [`/pages/${owner!.page_id}/followers`, "", owner],
    [`/pages/${secret.id}/requests`, "", owner],
    [`/posts/${posts[5].id}/replies`, "", owner],
    ["/users/me/likes", "", owner],
    ["/users/me/following", "", owner],
    ["/users/me/requests", "", owner],
    ["/feed", "", owner],
    ["/notifications", "", owner],
    ["/search", "type=pages&q=page", owner],
    ["/search", "type=users&q=ada", owner],
    ["/kv/keys", "", owner],
    ["/vk/users/101/videos", "", owner],
    ["/jobs", "", admin],
    ["/moderation/log", "", admin],
    ["/reports", "state=open", admin],
    ["/reports", "state=taken", admin],
    ["/reports", "state=closed", admin],
  ].map(([path, query, caller]) => ({
    name: `${template(path as string)} ${query}`.trim(),
    path: `${path}?limit=1${query ? `&${query}` : ""}`,
    caller: caller as Person,
  }));
  const cursors = new Map<string, string>();
  for (const { name, path, caller } of lists) {
    const body = await app.ok("GET", path, { token: caller.token });
    const section = name.startsWith("/search") ? body[name.includes("type=pages") ? "pages" : "users"] : body;
    assert.ok(section.next_cursor, `${name} has but one page: ${JSON.stringify(body)}`);
    cursors.set(name, section.next_cursor);
  }
  const { live_cursor } = await app.ok("GET", "/feed", { token });
  cursors.set("live", live_cursor);
  cursors.set("read mark", (await app.ok("GET", "/notifications", { token })).items[0].cursor);
  return { lists, cursors, reader: owner! };
}

function template(path: string): string {
  return path.replace(/^\/(pages|posts|vk\/users)\/[^/]+/, "/$1/{id}").replace(/^\/people\/[^/]+/, "/people/{login}");
}

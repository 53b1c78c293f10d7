/** A cursor belongs to its list and is rejected by every other list. */
import assert from "node:assert/strict";
import type { Json } from "../support/api.ts";
import type { Person } from "../support/person.ts";
import { sharedVkApp } from "../support/vk.ts";
import { until } from "../support/wait.ts";

const { app } = sharedVkApp();

interface List {
  /** The path in the document, with the parameters that make it another list. */
  name: string;
  path: string;
  caller: Person;
}

interface World {
  lists: List[];
  /** The list → its cursor. */
  cursors: Map<string, string>;
  reader: Person;
}

Deno.test("Every list in the document is tested here", async () => {
  const { lists } = await theWorld();
  const declared = Object.entries(app.contract.document.paths).flatMap(([path, { get }]) =>
    (get as Json)?.parameters?.some(({ name }: Json) => name === "cursor") ? [path.replace("/api/v1", "")] : []
  );
  assert.deepEqual([...new Set(lists.map(({ name }) => name.split(" ")[0]!))].sort(), declared.sort());
});

Deno.test("The cursor of a list is rejected by every other list, and accepted by its own", async () => {
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

Deno.test("The cursor of a list about one target is rejected by the same list about another", async () => {
  const lists = listsOfTwo(await twoPeople());
  for (const list of lists) {
    const cursors: string[] = [];
    for (const [path, { token }] of list) {
      const { body } = await app.call("GET", `${path}&limit=1`.replace("?&", "?"), { token });
      const { next_cursor } = path.includes("pages&q=") ? body.pages : path.includes("users&q=") ? body.users : body;
      assert.ok(next_cursor, `${path} has only one page: ${JSON.stringify(body)}`);
      cursors.push(next_cursor);
    }
    for (const [i, [path, { token }]] of list.entries()) {
      for (const [j, cursor] of cursors.entries()) {
        const { slug } = await app.call("GET", `${path}&limit=1&cursor=${cursor}`.replace("?&", "?"), { token });
        assert.equal(slug, i === j ? undefined : "invalid-cursor", `${path} with that of ${list[j]![0]}`);
      }
    }
  }
});

Deno.test("The live feed and read marks accept their own cursors, and none of a list", async () => {
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
  const { lists, owner } = await fillLists();
  const { token } = owner;
  const cursors = new Map<string, string>();
  for (const { name, path, caller } of lists) {
    const body = await app.ok("GET", path, { token: caller.token });
    const section = name.startsWith("/search") ? body[name.includes("type=pages") ? "pages" : "users"] : body;
    assert.ok(section.next_cursor, `${name} has only one page: ${JSON.stringify(body)}`);
    cursors.set(name, section.next_cursor);
  }
  const { live_cursor } = await app.ok("GET", "/feed", { token });
  cursors.set("live", live_cursor);
  cursors.set("read mark", (await app.ok("GET", "/notifications", { token })).items[0].cursor);
  return { lists, cursors, reader: owner };
}

interface TwoPeople {
  admin: Person;
  one: Person;
  other: Person;
  /** Two of each. */
  posts: Json[];
}

/** Two people with the same lists, each with more than one item. */
async function twoPeople(): Promise<TwoPeople> {
  const [admin, ada, bob] = await Promise.all([app.person({ role: "admin" }), ...await app.people(2)]) as Person[];
  const fans = await app.people(2);
  const posts: Json[] = [];
  for (const person of [ada!, bob!]) {
    const { token, page_id } = person;
    await app.page(person);
    const secret = await app.page(person, { is_private: true, uuid: `secret-${page_id.slice(-8)}` });
    for (let i = 0; i < 2; i++) posts.push(await app.post(person));
    const [post] = posts.slice(-2);
    for (const fan of fans) {
      await app.follow(fan, page_id);
      await app.follow(fan, secret.id);
      await app.post(fan, { reply_to: post.id });
      await app.follow(person, fan.page_id);
      await app.follow(person, (await app.page(fan, { is_private: true })).id);
    }
    for (const one of posts.slice(-2)) await app.ok("PUT", `/posts/${one.id}/like`, { token });
    await app.ok("PUT", "/vk/token", { token, body: { token: "fake-user-101", kind: "user" } });
    for (const space of ["own", "shared"]) {
      await app.ok("POST", "/kv/write", { token, body: { data: { "a/1": 1, "a/2": 2, "b/1": 1, "b/2": 2 }, space } });
    }
  }
  for (const { login, id } of [ada!, bob!]) {
    for (let i = 0; i < 2; i++) {
      const reason = `${i} times ${login}`;
      await app.ok("POST", `/users/${id}/block`, { token: admin!.token, body: { reason } });
      await app.ok("DELETE", `/users/${id}/block`, { token: admin!.token });
    }
  }
  // The block has ended their sessions.
  const [one, other] = await Promise.all([ada!, bob!].map(async (person) => ({
    ...person,
    ...await app.signIn(person.login),
  }))) as [Person, Person];
  await until(
    "notifications",
    async () => (await app.ok("GET", "/notifications", { token: other.token })).items.length > 2 || undefined,
  );
  await app.ctx.sql.execute(
    `insert into jobs (id, kind, payload, state, run_at)
    select gen_random_uuid(), 'kind' || n % 2, '{}', 'dead', now() from generate_series(1, 4) n`,
    [],
  );
  return { admin: admin!, one, other, posts };
}

/** The same list of both: each as its path and its caller. */
function listsOfTwo({ admin, one, other, posts }: TwoPeople): [string, Person][][] {
  const own = (path: string): [string, Person][] => [[path, one], [path, other]];
  const two = (first: string, second: string, caller = one): [string, Person][] => [[first, caller], [second, caller]];
  const secret = ({ page_id }: Person) => `/pages/secret-${page_id.slice(-8)}`;
  return [
    two("/users?role=user", "/users?role=user&q=a", admin),
    own("/pages?owner=me"),
    two(`/people/${one.login}/pages?`, `/people/${other.login}/pages?`),
    two(`/pages/${one.page_id}/posts?`, `/pages/${other.page_id}/posts?`),
    two(`/pages/${one.page_id}/followers?`, `/pages/${other.page_id}/followers?`),
    [[`${secret(one)}/requests?`, one], [`${secret(other)}/requests?`, other]] as [string, Person][],
    two(`/posts/${posts[0].id}/replies?`, `/posts/${posts[2].id}/replies?`),
    own("/users/me/likes?"),
    own("/users/me/following?"),
    own("/users/me/requests?"),
    own("/feed?"),
    own("/notifications?"),
    two("/search?type=pages&q=page", "/search?type=pages&q=secret"),
    two("/search?type=users&q=ada", "/search?type=users&q=lovelace"),
    own("/kv/keys?"),
    two("/kv/keys?", "/kv/keys?space=shared"),
    two("/kv/keys?prefix=a", "/kv/keys?prefix=b"),
    two("/vk/users/101/videos?", "/vk/users/me/videos?"),
    two("/jobs?kind=kind0", "/jobs?kind=kind1", admin),
    two(`/moderation/log?target=${one.id}`, `/moderation/log?target=${other.id}`, admin),
    two("/moderation/log?act=account.block", "/moderation/log?act=account.unblock", admin),
  ];
}

/** People and more than one item for each list; returns the lists. */
async function fillLists(): Promise<{ lists: List[]; owner: Person }> {
  const [admin, owner, ada, bob] = await Promise.all([app.person({ role: "admin" }), ...await app.people(3)]);
  const { token } = owner!;
  const secret = await app.page(owner!, { is_private: true });
  await app.page(owner!);
  const posts: Json[] = [];
  for (let i = 0; i < 6; i++) posts.push(await app.post(owner!));
  for (const [i, state] of ["processing", "processing", "failed", "failed"].entries()) {
    await app.ctx.sql.execute("update posts set state = $2, published_at = null where id = $1", [posts[i].id, state]);
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
  await app.ctx.sql.execute(
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
  return { lists, owner: owner! };
}

function template(path: string): string {
  return path.replace(/^\/(pages|posts|vk\/users)\/[^/]+/, "/$1/{id}").replace(/^\/people\/[^/]+/, "/people/{login}");
}

import assert from "node:assert/strict";
import { listAbout } from "../../contract/cursors.ts";
import { sharedApp, startApp, type TestApp } from "../support/app.ts";
import { newLogin, type Person } from "../support/person.ts";

const app = sharedApp();

/** A word that occurs nowhere else in this run. */
function newWord(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(14)), (byte) => "abdefghklmnoprstu"[byte % 17]).join("");
}

interface Found {
  pages: string[];
  users: string[];
}

/** Handles and logins. */
async function find({ token }: Person, q: string, more = "", on: TestApp = app): Promise<Found> {
  const body = await on.ok("GET", `/search?q=${encodeURIComponent(q)}${more}`, { token });
  return {
    pages: body.pages.items.map(({ uuid }: { uuid: string }) => uuid),
    users: body.users.items.map(({ login }: { login: string }) => login),
  };
}

Deno.test("A search returns pages as shown to the caller, and public profiles", async () => {
  const [reader, owner] = await app.people(2) as [Person, Person];
  const word = newWord();
  const page = await app.page(owner, { name: `The ${word}`, tags: [word], is_private: true, uuid: word });
  assert.equal(await app.follow(reader, page.id), "requested");
  const body = await app.ok("GET", `/search?q=${word}`, { token: reader.token });
  const shown = await app.ok("GET", `/pages/${word}`, { token: reader.token });
  assert.equal(shown.follow_state, "requested");
  assert.deepEqual(body, { pages: { items: [shown], next_cursor: null }, users: { items: [], next_cursor: null } });
  const people = await app.ok("GET", `/search?q=${owner.login}&type=users`, { token: reader.token });
  const card = await app.ok("GET", `/people/${owner.login}`, { token: reader.token });
  assert.deepEqual(people, { pages: { items: [], next_cursor: null }, users: { items: [card], next_cursor: null } });
});

Deno.test("A page is found by handle, name, tag and description at once, and no longer by earlier values", async () => {
  const owner = await app.person();
  const [handle, name, tag, description, other] = [newWord(), newWord(), newWord(), newWord(), newWord()];
  const page = await app.page(owner, { uuid: handle, name, tags: [tag], description: `About ${description}.` });
  for (const q of [handle, name, tag, description, `@${handle}`, `#${tag}`]) {
    assert.deepEqual((await find(owner, q)).pages, [handle], q);
  }
  const { token } = owner;
  await app.ok("PATCH", `/pages/${page.id}`, { token, body: { name: other } });
  await app.ok("DELETE", `/pages/${page.id}/tags/${tag}`, { token });
  assert.deepEqual([(await find(owner, name)).pages, (await find(owner, tag)).pages], [[], []]);
  await app.ok("PUT", `/pages/${page.id}/tags/${name}`, { token });
  for (const q of [name, other]) assert.deepEqual((await find(owner, q)).pages, [handle], q);
  await app.ok("DELETE", `/pages/${page.id}`, { token });
  for (const q of [handle, name, other, description]) assert.deepEqual((await find(owner, q)).pages, [], q);
});

Deno.test("A person is found by login and by name, with their personal page", async () => {
  const person = await app.person();
  const [first, last] = ["Zenobia", "Quillfeather"];
  await app.ok("PATCH", `/users/${person.id}`, { token: person.token, body: { first_name: first, last_name: last } });
  for (const q of [person.login, "zenobia", "Quillfeather Zenobia", "зенобия", "zenoiba"]) {
    const { users } = await find(person, q);
    assert.ok(users.includes(person.login), q);
  }
  assert.deepEqual((await find(person, person.login)).pages, [person.login]);
});

Deno.test("Each section can be requested alone", async () => {
  const person = await app.person();
  const of = async (type: string) => await find(person, person.login, `&type=${type}`);
  assert.deepEqual(await of("all"), { pages: [person.login], users: [person.login] });
  assert.deepEqual(await of("pages"), { pages: [person.login], users: [] });
  assert.deepEqual(await of("users"), { pages: [], users: [person.login] });
});

Deno.test("A private page is found by its name, and shows no posts to strangers", async () => {
  const [owner, stranger] = await app.people(2) as [Person, Person];
  const word = newWord();
  const page = await app.page(owner, { name: word, is_private: true });
  await app.post(owner, { text: `A secret about ${word}` }, page.id);
  const body = await app.ok("GET", `/search?q=${word}`, { token: stranger.token });
  assert.deepEqual(body.pages.items.map(({ id }: { id: string }) => id), [page.id]);
  assert.ok(!JSON.stringify(body).includes("secret"));
  await app.refused("not-found", "GET", `/pages/${page.id}/posts`, { token: stranger.token });
});

Deno.test("A blocked page is found by staff only, until the block is lifted", async () => {
  const [owner, stranger] = await app.people(2) as [Person, Person];
  const [admin, moderator] = await Promise.all([app.admin(), app.moderator()]);
  const word = newWord();
  const page = await app.page(owner, { name: word, uuid: word });
  await app.ok("POST", `/pages/${page.id}/block`, { token: admin.token, body: { reason: "spam", until: null } });
  const seen = () =>
    Promise.all([owner, stranger, moderator, admin].map(async (who) => (await find(who, word)).pages.length));
  assert.deepEqual(await seen(), [0, 0, 1, 1]);
  await app.ok("DELETE", `/pages/${page.id}/block`, { token: admin.token });
  assert.deepEqual(await seen(), [1, 1, 1, 1]);
});

Deno.test("A blocked account and its pages are found by staff only, until the block ends", async () => {
  const [owner, stranger] = await app.people(2) as [Person, Person];
  const [admin, moderator] = await Promise.all([app.admin(), app.moderator()]);
  const word = newWord();
  await app.page(owner, { name: word, uuid: word });
  const seen = () =>
    Promise.all([stranger, moderator, admin].map(async (who) => [
      (await find(who, word)).pages.length,
      (await find(who, owner.login, "&type=users")).users.includes(owner.login),
    ]));
  const [everybody, staffAlone] = [[[1, true], [1, true], [1, true]], [[0, false], [1, true], [1, true]]];
  assert.deepEqual(await seen(), everybody);
  await app.ok("POST", `/users/${owner.id}/block`, { token: admin.token, body: { reason: "spam" } });
  assert.deepEqual(await seen(), staffAlone);
  await app.ok("DELETE", `/users/${owner.id}/block`, { token: admin.token });
  assert.deepEqual(await seen(), everybody);
});

Deno.test("A person with an unverified email and their page are found only after verification", async () => {
  const [reader, admin] = await Promise.all([app.person(), app.admin()]);
  const login = newLogin("unverified");
  const person = await app.person({ login, verified: false });
  for (const who of [reader, admin, person]) assert.deepEqual(await find(who, login), { pages: [], users: [] });
  const late = await app.register(newLogin("verified"));
  assert.deepEqual(await find(reader, late.login), { pages: [late.login], users: [late.login] });
});

Deno.test("Without required verification everyone is found", async () => {
  await using open = await startApp({ REQUIRE_VERIFIED_EMAIL: "false" });
  const person = await open.person({ verified: false });
  assert.deepEqual(await find(person, person.login, "", open), { pages: [person.login], users: [person.login] });
});

Deno.test("A deleted account and its pages are never found", async () => {
  const [person, admin] = await Promise.all([app.person(), app.admin()]);
  const word = newWord();
  await app.page(person, { name: word });
  await app.ok("DELETE", `/users/${person.id}`, { token: admin.token });
  assert.deepEqual(await find(admin, person.login), { pages: [], users: [] });
  assert.deepEqual(await find(admin, word), { pages: [], users: [] });
});

Deno.test("Followers decide between equal matches, at once", async () => {
  const [owner, ...readers] = await app.people(4) as [Person, ...Person[]];
  const word = newWord();
  const pages = [];
  for (let i = 0; i < 3; i++) pages.push(await app.page(owner, { name: word, uuid: `${newLogin("eq")}-${i}` }));
  const order = async () => (await find(owner, word)).pages.map((uuid) => uuid.slice(-1));
  await app.follow(readers[0]!, pages[2].id);
  await app.follow(readers[0]!, pages[1].id);
  await app.follow(readers[1]!, pages[1].id);
  assert.deepEqual(await order(), ["1", "2", "0"]);
  for (const reader of readers) await app.follow(reader, pages[0].id);
  assert.deepEqual(await order(), ["0", "1", "2"]);
  for (const reader of readers) await app.ok("DELETE", `/pages/${pages[0].id}/follow`, { token: reader.token });
  assert.deepEqual(await order(), ["1", "2", "0"]);
});

Deno.test("Paging shows each result once, also during writes", async () => {
  const [owner, ...readers] = await app.people(4) as [Person, ...Person[]];
  const word = newWord();
  const ids: string[] = [];
  for (let i = 0; i < 31; i++) {
    const { id } = await app.page(owner, { name: i % 4 ? word : `The ${word} ${i}` });
    ids.push(id);
    for (const reader of readers.slice(0, i % 4)) await app.follow(reader, id);
  }
  const read: string[] = [];
  let turn = 0;
  for (let cursor: string | null = ""; cursor !== null; turn++) {
    const path: string = `/search?q=${word}&type=pages&limit=4${cursor && `&cursor=${cursor}`}`;
    const { body, headers } = await app.call("GET", path, { token: owner.token });
    const { items, next_cursor } = body.pages;
    read.push(...items.map(({ id }: { id: string }) => id));
    const link = /^<([^>]+)>; rel="next"$/.exec(headers.get("link") ?? "")?.[1];
    assert.equal(link && new URL(link, app.url).searchParams.get("cursor"), next_cursor ?? undefined);
    cursor = next_cursor;
    // Shown results lose followers, new ones are added, and some are deleted.
    for (const { id } of items) {
      for (const { token } of readers) await app.ok("DELETE", `/pages/${id}/follow`, { token });
    }
    await app.page(owner, { name: word });
    if (turn === 2) await app.ok("DELETE", `/pages/${read[0]}`, { token: owner.token });
  }
  assert.equal(new Set(read).size, read.length, "a page was shown twice");
  assert.deepEqual(ids.filter((id) => !read.includes(id)), [], "a page that existed throughout was skipped");
  assert.ok(turn > 7);
});

Deno.test("People are paged like pages", async () => {
  const prefix = newLogin("many").slice(0, 14);
  const people = [];
  for (let i = 0; i < 5; i++) people.push(await app.person({ login: `${prefix}${i}` }));
  const read: string[] = [];
  for (let cursor: string | null = ""; cursor !== null;) {
    const path: string = `/search?q=${prefix}&type=users&limit=2${cursor && `&cursor=${cursor}`}`;
    const body = await app.ok("GET", path, { token: people[0]!.token });
    assert.deepEqual(body.pages, { items: [], next_cursor: null });
    read.push(...body.users.items.map(({ login }: { login: string }) => login));
    cursor = body.users.next_cursor;
  }
  assert.deepEqual(read.sort(), people.map(({ login }) => login));
});

Deno.test("With both sections each has its own cursor, which continues that section only", async () => {
  const prefix = newLogin("both").slice(0, 14);
  const people = [];
  for (let i = 0; i < 3; i++) people.push(await app.person({ login: `${prefix}${i}` }));
  const { token } = people[0]!;
  const all = `/search?q=${prefix}&limit=2`;
  const { body: first, headers } = await app.call("GET", all, { token });
  assert.equal(headers.get("link"), null, "with two sections there is no single next page");
  for (const [type, other] of [["pages", "users"], ["users", "pages"]] as const) {
    const cursor = first[type].next_cursor;
    const rest = await app.ok("GET", `${all}&type=${type}&cursor=${cursor}`, { token });
    assert.equal(rest[type].items.length, 1);
    assert.deepEqual(rest[other].items, []);
    await app.refused("invalid-cursor", "GET", `${all}&type=${other}&cursor=${cursor}`, { token });
    const { errors } = await app.refused("validation", "GET", `${all}&cursor=${cursor}`, { token });
    assert.equal(errors[0].path, "cursor");
  }
});

Deno.test("Invalid requests are rejected, and any query is answered", async () => {
  const { token } = await app.person();
  const refused: [string, string][] = [
    ["", "q"],
    ["q=", "q"],
    ["q=%20%20", "q"],
    [`q=${"x".repeat(201)}`, "q"],
    ["q=a&type=posts", "type"],
    ["q=a&type=", "type"],
    ["q=a&limit=0", "limit"],
    ["q=a&limit=101", "limit"],
    ["q=a&sort=new", "sort"],
    ["q=a%00b", "q"],
    ["q=a%00b&type=users", "q"],
  ];
  for (const [query, path] of refused) {
    const { errors } = await app.refused("validation", "GET", `/search?${query}`, { token });
    assert.equal(errors[0].path, path, query);
  }
  const odd = [
    "%25",
    "%5C",
    "'",
    "%22%22",
    "%26%7C!()%3A*",
    "%F0%9F%A6%9C",
    "%EF%BF%BF",
    "%FF%FE",
    "a%0Ab",
    "%ED%A0%80",
    "+",
  ];
  for (const q of [...odd, "a+".repeat(99) + "a", `'${"%28".repeat(60)}`, "x".repeat(199)]) {
    const { status } = await app.call("GET", `/search?q=x${q}&limit=100`, { token });
    assert.equal(status, 200, q);
  }
});

Deno.test("An invented cursor is rejected", async () => {
  const { token } = await app.person();
  const cursor = (...parts: unknown[]) => btoa(JSON.stringify(parts)).replaceAll("=", "");
  const id = "01890000-0000-7000-8000-000000000000";
  const pages = listAbout("search.pages", "a");
  await app.ok("GET", `/search?q=a&type=pages&cursor=${cursor(pages, "4", "999999999", id, "")}`, { token });
  const wrong = [
    cursor(listAbout("search.users", "a"), "4", "0", id, ""),
    cursor(pages, "-1", "0", id, ""),
    cursor(pages, "4", "9999999999", id, ""),
    cursor(pages, "4", "0", "x", ""),
    cursor(pages, "4", "0", id, "abc"),
    cursor(pages, "4", "0", id, "0123456789abcdef".repeat(17)),
    cursor(pages, "4", "0", id),
    cursor(pages, 4, 0, id, ""),
  ];
  for (const each of wrong) {
    await app.refused("invalid-cursor", "GET", `/search?q=a&type=pages&cursor=${each}`, { token });
  }
});

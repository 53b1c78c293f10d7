import assert from "node:assert/strict";
import { LIMITS } from "../../routes/http/rate_limit.ts";
import { emailLinks, unsubscribeToken } from "../../jobs/email/unsubscribe.ts";
import { newId } from "../../lib/ids.ts";
import { Secret } from "../../security/secret.ts";
import { sharedApp, startApp, type TestApp } from "../support/app.ts";
import type { Person } from "../support/person.ts";

const app = sharedApp();
const FORM = { "content-type": "application/x-www-form-urlencoded" };

const tokenOf = ({ id }: { id: string }, secret: Secret = app.ctx.secret) => unsubscribeToken(secret, id);

/** The two addresses in the emails to a person. */
const linksOf = ({ id }: { id: string }) => emailLinks(app.ctx.secret, app.url, id);

async function ask(url: string, init: RequestInit = {}): Promise<{ status: number; headers: Headers; text: string }> {
  const response = await fetch(url, { redirect: "manual", ...init });
  return { status: response.status, headers: response.headers, text: await response.text() };
}

/** The first line of the answer to a request with this head and no body. */
async function sent(head: string): Promise<string> {
  const { hostname, port } = new URL(app.url);
  using connection = await Deno.connect({ hostname, port: Number(port) });
  const writing = connection.writable.getWriter().write(Uint8Array.from(`${head}\r\n\r\n`, (c) => c.charCodeAt(0)));
  const { value } = await connection.readable.getReader().read();
  // A server that answers early does not read the rest.
  await writing.catch(() => {});
  return new TextDecoder().decode(value).split("\r\n", 1)[0]!;
}

async function emailsOf({ token }: Person): Promise<string> {
  return (await app.ok("GET", "/notifications/settings", { token })).letters;
}

const titleOf = (text: string) => /<h1>(.*?)<\/h1>/.exec(text)?.[1];

Deno.test("Opening the unsubscribe page changes nothing, and its button unsubscribes, also twice", async () => {
  const [ann, bob] = await app.people(2) as [Person, Person];
  await app.ok("PUT", "/notifications/settings", { token: ann.token, body: { letters: "daily" } });
  const { unsubscribe } = linksOf(ann);
  for (const method of ["GET", "HEAD", "GET"]) {
    const looked = await ask(unsubscribe, { method });
    assert.equal(looked.status, 200, method);
    if (method === "GET") assert.match(looked.text, /<form method="post"><button>/);
  }
  assert.equal(await emailsOf(ann), "daily");
  for (let press = 1; press <= 2; press++) {
    const { status, text } = await ask(unsubscribe, { method: "POST", headers: FORM, body: "" });
    assert.deepEqual([status, titleOf(text)], [200, "You have unsubscribed from emails about posts"], `press ${press}`);
    assert.match(text, /change the notification settings/);
    assert.equal(await emailsOf(ann), "never");
  }
  assert.equal(await emailsOf(bob), "at_once", "other people's settings are unchanged");
});

Deno.test("The button leaves notification settings unchanged", async () => {
  const ann = await app.person();
  await app.ok("PUT", "/notifications/settings", { token: ann.token, body: { bell: { like: false } } });
  const { bell } = await app.ok("GET", "/notifications/settings", { token: ann.token });
  await ask(linksOf(ann).unsubscribe, { method: "POST" });
  assert.deepEqual(await app.ok("GET", "/notifications/settings", { token: ann.token }), { letters: "never", bell });
});

Deno.test("The page has no foreign resources, no script, no referrer and no token", async () => {
  const ann = await app.person();
  for (const init of [{}, { method: "POST" }]) {
    const { headers, text } = await ask(linksOf(ann).unsubscribe, init);
    assert.equal(headers.get("content-type"), "text/html; charset=utf-8");
    assert.match(headers.get("content-security-policy")!, /^default-src 'none'; .*form-action 'self'/);
    assert.equal(headers.get("referrer-policy"), "no-referrer");
    assert.doesNotMatch(text, /<script| style=/);
    assert.ok(!text.includes(ann.id) && !text.includes(tokenOf(ann).slice(37)), "the token");
  }
});

Deno.test("A foreign token is rejected with a text, by the page and by the API, and changes nothing", async () => {
  const ann = await app.person();
  const bob = await app.person();
  const own = tokenOf(ann);
  const [id, mark] = own.split(".") as [string, string];
  const tokens = {
    none: undefined,
    empty: "",
    dot: ".",
    "the id alone": id,
    "no mark": `${id}.`,
    "no id": `.${mark}`,
    "one character less": own.slice(0, -1),
    "another mark": `${id}.${mark.replaceAll(/./g, "A")}`,
    "the mark of another": `${bob.id}.${mark}`,
    "the id in capitals": `${id.toUpperCase()}.${mark}`,
    "of another installation": tokenOf(ann, new Secret("another secret that is long enough too")),
    "of a session": ann.token,
    "no id at all": `x.${mark}`,
    NUL: "\0",
    "a script": '"><script>alert(1)</script>',
    owl: "🦉",
    large: "x".repeat(3_000),
    huge: `${id}.${"x".repeat(30_000)}`,
  };
  for (const [what, token] of Object.entries(tokens)) {
    const query = token === undefined ? "" : `?token=${encodeURIComponent(token)}`;
    for (const method of ["GET", "POST"]) {
      const { status, headers, text } = await ask(`${app.url}/unsubscribe${query}`, { method });
      assert.equal(status, 422, `${method}, ${what}`);
      assert.equal(titleOf(text), "The link is invalid", what);
      assert.match(headers.get("content-type")!, /^text\/html/);
      assert.doesNotMatch(text, /<form|<script/, what);
    }
    await app.refused("validation", "POST", `/notifications/unsubscribe${query}`);
  }
  for (const query of ["token=%", "token=%FF%FE", "token=%ED%A0%80", "token", "TOKEN=x", "&&&", "token[]=x", "%00=1"]) {
    for (const method of ["GET", "POST"]) {
      assert.equal((await ask(`${app.url}/unsubscribe?${query}`, { method })).status, 422, query);
    }
  }
  for (const method of ["GET", "POST"]) {
    assert.match(await sent(`${method} /unsubscribe?token=${"x".repeat(200_000)} HTTP/1.1\r\nHost: x`), / 4\d\d /);
    assert.match(await sent(`${method} /unsubscribe?token=x HTTP/1.1\r\nHost: %%\\`), / 4\d\d /, "no host");
    assert.match(await sent(`${method} /unsubscribe?token=\xff\xfe HTTP/1.1\r\nHost: x`), / 4\d\d /, "no UTF-8");
  }
  assert.deepEqual([await emailsOf(ann), await emailsOf(bob)], ["at_once", "at_once"]);
});

Deno.test("Other methods are 405 with the allowed ones", async () => {
  const ann = await app.person();
  for (const method of ["PUT", "PATCH", "DELETE"]) {
    const { status, headers } = await ask(linksOf(ann).unsubscribe, { method });
    assert.deepEqual([status, headers.get("allow")], [405, "GET, HEAD, POST, OPTIONS"], method);
  }
  assert.equal((await ask(linksOf(ann).oneClick)).status, 405, "a GET of the one-click address");
  assert.equal(await emailsOf(ann), "at_once");
});

Deno.test("The links need no sign-in, and a signed-in person may follow another's", async () => {
  const callers = [undefined, await app.person(), await app.person({ verified: false }), await app.admin()];
  const [blocked, outdated] = await app.people(2) as [Person, Person];
  const { token } = await app.admin();
  await app.ok("POST", `/users/${blocked.id}/block`, { token, body: { reason: "spam" } });
  await app.signIn(outdated.login);
  for (const caller of [...callers, blocked, outdated]) {
    const ann = await app.person();
    const headers: Record<string, string> = caller ? { authorization: `Bearer ${caller.token}` } : {};
    assert.equal((await ask(linksOf(ann).unsubscribe, { headers })).status, 200);
    assert.equal((await ask(linksOf(ann).unsubscribe, { method: "POST", headers })).status, 200);
    assert.equal(await emailsOf(ann), "never");
  }
});

Deno.test("A blocked person can unsubscribe, and a deleted one's link is harmless", async () => {
  const { token } = await app.admin();
  const [ann, gone] = await app.people(2) as [Person, Person];
  await app.ok("POST", `/users/${ann.id}/block`, { token, body: { reason: "spam" } });
  await app.ok("DELETE", `/users/${gone.id}`, { token });
  for (const { unsubscribe, oneClick } of [ann, gone, { id: newId() }].map(linksOf)) {
    assert.equal((await ask(unsubscribe)).status, 200);
    assert.equal((await ask(unsubscribe, { method: "POST" })).status, 200);
    assert.equal((await ask(oneClick, { method: "POST" })).status, 200);
  }
  const kept = await app.ctx.sql.query<{ user_id: string; letters: string }>(
    "select user_id, letters from notification_settings where user_id = any ($1::uuid[])",
    [[ann.id, gone.id]],
  );
  assert.deepEqual(kept, [{ user_id: ann.id, letters: "never" }]);
});

Deno.test("A mail program unsubscribes by one POST with any body (RFC 8058)", async () => {
  const multipart = new FormData();
  multipart.append("List-Unsubscribe", "One-Click");
  const bodies: Record<string, RequestInit> = {
    "form-encoded": { headers: FORM, body: "List-Unsubscribe=One-Click" },
    multipart: { body: multipart },
    none: {},
    "of no type": { headers: { "content-type": "" }, body: "List-Unsubscribe=One-Click" },
    "of a wrong type": { headers: { "content-type": "application/json" }, body: "{" },
  };
  for (const [what, init] of Object.entries(bodies)) {
    const ann = await app.person();
    const { status, text } = await ask(linksOf(ann).oneClick, { method: "POST", ...init });
    assert.deepEqual([status, JSON.parse(text)], [200, { letters: "never" }], what);
    assert.equal(await emailsOf(ann), "never", what);
  }
});

Deno.test("The answer does not wait for a body", async () => {
  const ann = await app.person();
  for (const [path, length] of [["/unsubscribe", 10], ["/api/v1/notifications/unsubscribe", 1_000_000_000]] as const) {
    const status = await sent(`POST ${path}?token=${tokenOf(ann)} HTTP/1.1\r\nHost: x\r\nContent-Length: ${length}`);
    assert.match(status, /^HTTP\/1\.1 200 /, path);
  }
});

Deno.test("The button and mail programs share one limit per address, and over it the page shows a text", async () => {
  await using limited = await startApp({ RATE_LIMITS: "on", NATS_URL: "", REDIS_URL: "" });
  const ann = await limited.person();
  const { unsubscribe, oneClick } = emailLinks(limited.ctx.secret, limited.url, ann.id);
  for (let i = 0; i < LIMITS.unsubscribe.limit; i++) {
    assert.equal((await ask(i % 2 ? unsubscribe : oneClick, { method: "POST" })).status, 200, `request ${i + 1}`);
  }
  const { status, headers, text } = await ask(unsubscribe, { method: "POST" });
  assert.deepEqual([status, titleOf(text)], [429, "Too many requests"]);
  const wait = Number(headers.get("retry-after"));
  assert.ok(wait >= 1 && wait <= 60, `Retry-After is ${wait}`);
  assert.equal((await ask(oneClick, { method: "POST" })).status, 429);
  assert.equal((await ask(unsubscribe)).status, 200, "opening the page is not counted");
});

Deno.test("On an error the page shows a text with the request id, and no log line has the token", async () => {
  await using broken = await startApp();
  const token = tokenOf(await broken.person(), broken.ctx.secret);
  const { lines, text, status } = await whileBroken(broken, `${broken.url}/unsubscribe?token=${token}`);
  assert.deepEqual([status, titleOf(text)], [500, "Internal server error"]);
  assert.equal(lines.length, 1);
  const [, id] = /<code>(.+?)<\/code>/.exec(text)!;
  assert.ok(lines[0]!.includes(id!), "the request id is in the log");
  assert.ok(!lines.join().includes(token.slice(37)) && !text.includes(token.slice(37)), "the token");
});

/** The page and the log lines when an actor fails unexpectedly. */
async function whileBroken({ ctx }: TestApp, url: string) {
  const lines: string[] = [];
  const { ask: real } = ctx.actors;
  const { error: log } = ctx.log;
  ctx.actors.ask = () => Promise.reject(new Error("a fault"));
  ctx.log.error = (message, fields) => void lines.push(JSON.stringify([message, fields]));
  try {
    return { ...await ask(url, { method: "POST" }), lines };
  } finally {
    ctx.actors.ask = real;
    ctx.log.error = log;
  }
}

/** Ids are accepted in any case: the same answer, and the effect on the same actor. */
import assert from "node:assert/strict";
import type { Answer, Json } from "../support/api.ts";
import { sharedApp } from "../support/app.ts";
import type { Person } from "../support/person.ts";
import { newId } from "../../lib/ids.ts";
import { pngOf } from "../support/pictures.ts";

const app = sharedApp();
const PICTURE = { name: "square.png", data: (await pngOf(40, 40)).toBase64() };

/** The subject of a call, created for this call. */
interface Subject {
  /** The caller. */
  caller: Person;
  /** The values of `{id}` and `{user_id}`. */
  ids: Record<string, string>;
  /** Reads the effect by the id in lower case. */
  look: () => Promise<unknown>;
}

type Make = (call: string) => Promise<Subject>;

const tomorrow = () => new Date(Date.now() + 86_400_000).toISOString();

const user: Make = async (call) => {
  const person = await app.person();
  const caller = call.endsWith("/avatar") ? person : await app.admin();
  const { token } = await app.admin();
  const look = async () => [
    await read(token, `/users/${person.id}`),
    await read(person.token, "/users/me"),
    shape(await app.call("POST", "/security/refresh", { body: { refresh_token: person.refresh_token } })),
  ];
  return { caller, ids: { id: person.id }, look };
};

const page: Make = async (call) => {
  const [owner, asking] = await Promise.all([app.person({ role: "admin" }), app.person()]);
  const { id } = await app.page(owner, { is_private: call.includes("/requests") });
  if (/follow|requests/.test(call) && !call.startsWith("put")) await app.follow(asking, id);
  if (call.startsWith("delete") && call.endsWith("/block")) {
    await app.ok("POST", `/pages/${id}/block`, { token: owner.token, body: { reason: "spam", until: tomorrow() } });
  }
  const look = async () => [
    await read(owner.token, `/pages/${id}`),
    await read(asking.token, `/pages/${id}`),
    await read(owner.token, `/pages/${id}/posts`),
    await read(owner.token, `/pages/${id}/followers`),
  ];
  return { caller: call.endsWith("/follow") ? asking : owner, ids: { id, user_id: asking.id }, look };
};

const post: Make = async (call) => {
  const owner = await app.person();
  const { id } = await app.post(owner, call.endsWith("/retry") ? { photos: [PICTURE] } : {});
  if (call.endsWith("/replies")) await app.post(owner, { reply_to: id });
  if (call.endsWith("/retry")) {
    const failed = "update photos set state = 'failed', staged_key = 'lost' where post_id = $1 returning post_id";
    await app.ctx.sql.execute(`with f as (${failed}) update posts set state = 'failed' where id in (select * from f)`, [
      id,
    ]);
  }
  return { caller: owner, ids: { id }, look: () => read(owner.token, `/posts/${id}`) };
};

const report: Make = async (call) => {
  const [owner, reporting, { token }] = await Promise.all([app.person(), app.person(), app.admin()]);
  const body = { target: { kind: "account", id: owner.id }, reason: "spam" };
  const { id } = await app.ok("POST", "/reports", { token: reporting.token, body });
  if (call.startsWith("delete")) await app.ok("POST", `/reports/${id}/take`, { token });
  const look = async () => {
    const lists = await Promise.all(["open", "taken", "closed"].map((state) => listed(token, state)));
    return lists.map((items) => items.some((item: Json) => item.id === id));
  };
  return { caller: await app.admin(), ids: { id }, look };
};

const job: Make = async () => {
  const id = newId();
  await app.ctx.sql.execute(
    "insert into jobs (id, kind, payload, state, run_at) values ($1, 'test', '{}', 'dead', now())",
    [id],
  );
  const look = () => app.ctx.sql.query("select state from jobs where id = $1", [id]);
  return { caller: await app.admin(), ids: { id }, look };
};

const SUBJECTS: Record<string, Make> = {
  "/users": user,
  "/pages": page,
  "/posts": post,
  "/reports": report,
  "/jobs": job,
};

const BODIES: Record<string, unknown> = {
  "patch /users/{id}": { first_name: "Grace" },
  "put /users/{id}/role": { role: "moderator" },
  "post /users/{id}/block": { reason: "spam" },
  "put /users/{id}/avatar": PICTURE,
  "patch /pages/{id}": { description: "New" },
  "put /pages/{id}/avatar": PICTURE,
  "post /pages/{id}/block": { reason: "spam", until: tomorrow() },
  "post /pages/{id}/posts": { text: "Hello" },
  "post /pages/{id}/requests/accept": { all: true },
  "post /pages/{id}/requests/reject": { all: true },
  "patch /posts/{id}": { text: "Edited" },
  "post /reports/{id}/close": { outcome: "dismissed" },
};

Deno.test("Every call with an id in its path ignores the case of the id", async (t) => {
  const calls = app.contract.operations()
    .map(({ method, path }) => `${method} ${path.replace("/api/v1", "")}`)
    // Ids of VK are foreign; all others are ours.
    .filter((call) => /\{(id|\w+_id)\}/.test(call) && !call.includes(" /vk/"));
  assert.ok(calls.length > 30);
  for (const call of calls) {
    await t.step(call, async () => {
      const [method, template] = call.split(" ") as [string, string];
      const make = SUBJECTS[/^\/\w+/.exec(template)![0]];
      assert.ok(make, "no subject is defined for this id");
      const results = [];
      for (const spelled of [(id: string) => id, (id: string) => id.toUpperCase()]) {
        const { caller, ids, look }: Subject = await make(call);
        const path = filled(template, ids, spelled);
        const answer = await app.call(method.toUpperCase(), path, {
          token: caller.token,
          ...(BODIES[call] === undefined ? {} : { body: BODIES[call] }),
        });
        assert.ok(answer.status < 300, `${method} ${path} is ${answer.status}: ${JSON.stringify(answer.body)}`);
        results.push({ answer: shape(answer), effect: await look() });
      }
      assert.deepEqual(results[1], results[0]);
    });
  }
});

Deno.test("A person blocked by their id in upper case is locked out: token, refresh, sign-in and socket", async () => {
  const [{ token }, person] = await Promise.all([app.admin(), app.register()]);
  await using listener = await app.listen(person.token);
  await listener.next("hello");
  // The actor is active already. An actor under another spelling would not change it.
  await app.ok("GET", "/users/me", { token: person.token });
  await app.ok("POST", `/users/${person.id.toUpperCase()}/block`, { token, body: { reason: "spam" } });
  await app.refused("account-blocked", "GET", "/users/me", { token: person.token });
  await app.refused("account-blocked", "POST", "/security/refresh", { body: { refresh_token: person.refresh_token } });
  await app.refused("account-blocked", "POST", "/security/login", {
    body: { login: person.login, password: person.password },
  });
  assert.equal((await listener.ended()).code, 4403);
  await app.ok("DELETE", `/users/${person.id.toUpperCase()}/block`, { token });
  await app.signIn(person.login);
});

Deno.test("An account demoted or deleted by its id in upper case loses its rights on its next request", async () => {
  const [{ token }, moderator, person] = await Promise.all([app.admin(), app.moderator(), app.person()]);
  await app.ok("GET", "/reports", { token: moderator.token });
  await app.ok("PUT", `/users/${moderator.id.toUpperCase()}/role`, { token, body: { role: "user" } });
  const { status } = await app.call("GET", "/reports", { token: moderator.token });
  assert.ok(status === 401 || status === 403, String(status));
  await app.ok("GET", "/users/me", { token: person.token });
  await app.ok("DELETE", `/users/${person.id.toUpperCase()}`, { token });
  await app.refused("token-invalid", "GET", "/users/me", { token: person.token });
});

Deno.test("An own profile is recognised by an id in upper case, and so is a repeated request", async () => {
  const person = await app.person();
  const path = `/users/${person.id.toUpperCase()}`;
  const changed = await app.ok("PATCH", path, { token: person.token, body: { first_name: "Grace" } });
  assert.deepEqual([changed.id, changed.first_name], [person.id, "Grace"]);
  const send = (page: string) =>
    app.call("POST", `/pages/${page}/posts`, {
      token: person.token,
      body: { text: "Once" },
      headers: { "idempotency-key": "once" },
    });
  const first = await send(person.page_id);
  const again = await send(person.page_id.toUpperCase());
  assert.deepEqual([again.status, again.body], [first.status, first.body]);
});

/** Ids in bodies and queries. Each is tested below. */
const IN_BODIES = [
  "patch /posts/{id} photos",
  "post /pages/{id}/posts reply_to",
  "post /pages/{id}/requests/accept user_ids",
  "post /pages/{id}/requests/reject user_ids",
  "post /reports target.id",
];
const IN_QUERIES = ["get /moderation/log actor", "get /moderation/log target"];

Deno.test("Every id in a body or a query is tried in upper case", () => {
  const bodies: string[] = [];
  const queries: string[] = [];
  for (const [path, methods] of Object.entries(app.contract.document.paths)) {
    for (const [method, operation] of Object.entries(methods) as [string, Json][]) {
      const call = `${method} ${path.replace("/api/v1", "")}`;
      const schema = operation.requestBody?.content["application/json"].schema;
      for (const place of uuidsIn(schema)) bodies.push(`${call} ${place}`);
      for (const { name, in: where, schema } of operation.parameters ?? []) {
        if (where === "query" && uuidsIn(schema).length > 0) queries.push(`${call} ${name}`);
      }
    }
  }
  assert.deepEqual([bodies.sort(), queries.sort()], [IN_BODIES, IN_QUERIES]);
});

Deno.test("Requests are answered by ids in upper case", async () => {
  for (const [verb, done, state] of [["accept", "accepted", "following"], ["reject", "rejected", "none"]] as const) {
    const [owner, asking] = await Promise.all([app.person(), app.person()]);
    const { id } = await app.page(owner, { is_private: true });
    await app.follow(asking, id);
    const body = { user_ids: [asking.id.toUpperCase(), asking.id] };
    const answered = await app.ok("POST", `/pages/${id}/requests/${verb}`, { token: owner.token, body });
    assert.deepEqual(answered, { [done]: 1 });
    assert.equal((await app.ok("GET", `/pages/${id}`, { token: asking.token })).follow_state, state);
  }
});

Deno.test("A reply, the order of photos, a report and the record's filters accept ids in upper case", async () => {
  const [{ token, id: admin }, owner, other] = await Promise.all([app.admin(), app.person(), app.person()]);
  const original = await app.post(owner, { photos: [PICTURE, { ...PICTURE, alt: "second" }] });
  const photos = original.photos.map(({ id }: Json) => id.toUpperCase()).reverse();
  const edited = await app.ok("PATCH", `/posts/${original.id}`, { token: owner.token, body: { photos } });
  assert.deepEqual(edited.photos.map(({ id }: Json) => id.toUpperCase()), photos);
  await app.refused("validation", "PATCH", `/posts/${original.id}`, {
    token: owner.token,
    body: { photos: [photos[0], photos[0].toLowerCase()] },
  });

  const form = new FormData();
  form.set("text", "By a form");
  form.set("reply_to", original.id.toUpperCase());
  const replies = [
    await app.post(owner, { reply_to: original.id.toUpperCase() }),
    await app.ok("POST", `/pages/${owner.page_id.toUpperCase()}/posts`, { token: owner.token, body: form }),
  ];
  for (const { reply_to } of replies) assert.deepEqual(reply_to, { id: original.id, state: "available" });

  for (const [kind, id] of [["post", original.id], ["page", owner.page_id], ["account", owner.id]] as const) {
    const send = (spelled: string) =>
      app.call("POST", "/reports", {
        token: other.token,
        body: { target: { kind, id: spelled }, reason: "spam" },
      });
    const first = await send(id.toUpperCase());
    const again = await send(id);
    assert.deepEqual([first.status, again.status, again.body.id], [201, 200, first.body.id]);
    assert.equal(first.body.target.id, id);
  }

  await app.ok("POST", `/users/${other.id}/block`, { token, body: { reason: "spam" } });
  for (const filter of [`target=${other.id}`, `actor=${admin}`]) {
    const [name, id] = filter.split("=") as [string, string];
    const lower = await app.ok("GET", `/moderation/log?${filter}`, { token });
    assert.ok(lower.items.length > 0);
    assert.deepEqual(await app.ok("GET", `/moderation/log?${name}=${id.toUpperCase()}`, { token }), lower);
  }
});

Deno.test("An id in upper case inside a cursor is the same position", async () => {
  const person = await app.person();
  for (let i = 0; i < 3; i++) await app.post(person);
  const path = `/pages/${person.page_id}/posts?limit=1`;
  const { next_cursor } = await app.ok("GET", path, { token: person.token });
  const key = atob(next_cursor.replaceAll("-", "+").replaceAll("_", "/"));
  const loud = key.replace(/[0-9a-f]{8}-[0-9a-f-]{27}/, (id) => id.toUpperCase());
  assert.notEqual(loud, key);
  const next = await app.ok("GET", `${path}&cursor=${next_cursor}`, { token: person.token });
  assert.equal(next.items.length, 1);
  assert.deepEqual(
    await app.ok("GET", `${path}&cursor=${btoa(loud).replaceAll("=", "")}`, { token: person.token }),
    next,
  );

  const { live_cursor } = await app.ok("GET", "/feed", { token: person.token });
  await using listener = await app.listen(person.token, btoa(atob(live_cursor).toUpperCase()).replaceAll("=", ""));
  await listener.next("hello");
  const { id } = await app.post(person);
  assert.equal((await listener.next((frame) => frame.type !== "notification")).data.id, id);
});

/** A tag in place of an id. */
function filled(template: string, ids: Record<string, string>, spelled: (id: string) => string): string {
  return template.replaceAll(/\{(\w+)\}/g, (_, name: string) => spelled(ids[name] ?? "birds"));
}

async function read(token: string, path: string): Promise<unknown> {
  return shape(await app.call("GET", path, { token }));
}

async function listed(token: string, state: string): Promise<Json[]> {
  return (await app.ok("GET", `/reports?state=${state}&limit=100`, { token })).items;
}

/** An answer without the values that differ between two subjects of one kind. */
function shape({ status, slug, body }: Answer): unknown {
  if (slug) return [status, slug];
  const plain = JSON.stringify(body ?? null)
    .replaceAll(/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/gi, "an id")
    .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, "a time")
    .replaceAll(/page-[0-9a-f]{24}/g, "a handle")
    .replaceAll(/"p[0-9a-z]+x[0-9a-f]{8}(@rookery\.test)?"/g, '"a login"')
    .replaceAll(/"(eyJ|\/api\/v1\/photos\/)[^"]+"/g, '"a token or link"');
  return [status, JSON.parse(plain)];
}

/** Dotted paths of UUIDs in a schema. Items of a list have the path of the list. */
function uuidsIn(schema: Json, path: string[] = []): string[] {
  if (typeof schema !== "object" || schema === null) return [];
  if (schema.format === "uuid") return [path.join(".")];
  return [
    ...new Set([
      ...Object.entries(schema.properties ?? {}).flatMap(([name, inner]) => uuidsIn(inner, [...path, name])),
      ...["anyOf", "oneOf", "allOf"].flatMap((key) =>
        (schema[key] ?? []).flatMap((inner: Json) => uuidsIn(inner, path))
      ),
      ...uuidsIn(schema.items, path),
    ]),
  ];
}

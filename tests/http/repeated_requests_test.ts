import assert from "node:assert/strict";
import { sharedApp } from "../support/app.ts";
import { newLogin, PASSWORD, type Person, registration } from "../support/person.ts";

const app = sharedApp();

/** Every call that creates something: its request, and the count of what it creates. */
const CREATING: Record<string, (person: Person) => { path: string; body: Record<string, unknown>; other: unknown }> = {
  "POST /users": () => {
    const body = registration();
    return { path: "/users", body, other: registration() };
  },
  "POST /pages": () => ({ path: "/pages", body: { name: "A page" }, other: { name: "Another" } }),
  "POST /pages/{id}/posts": ({ page_id }) => ({
    path: `/pages/${page_id}/posts`,
    body: { text: "A post" },
    other: { text: "Another" },
  }),
  "POST /kv/write": () => ({ path: "/kv/write", body: { data: { a: 1 } }, other: { data: { b: 1 } } }),
  "POST /reports": ({ page_id }) => {
    const target = { kind: "page", id: page_id };
    return { path: "/reports", body: { target, reason: "spam" }, other: { target, reason: "owls" } };
  },
};

const key = () => ({ "idempotency-key": crypto.randomUUID() });

async function rows(): Promise<number> {
  const [row] = await app.ctx.sql.query<{ n: number }>(
    `select (select count(*) from users) + (select count(*) from pages) + (select count(*) from posts)
      + (select count(*) from kv) + (select count(*) from reports) as n`,
  );
  return row!.n;
}

Deno.test("Every call with an Idempotency-Key is tested here", () => {
  const declared = Object.entries(app.contract.document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).flatMap(([method, operation]) => {
      const { parameters = [] } = operation as unknown as { parameters?: { name: string }[] };
      const takes = parameters.some(({ name }) => name === "Idempotency-Key");
      return takes ? [`${method.toUpperCase()} ${path.replace("/api/v1", "")}`] : [];
    })
  );
  assert.deepEqual(declared.sort(), Object.keys(CREATING).sort());
});

for (const [call, make] of Object.entries(CREATING)) {
  Deno.test(`${call} with the same key and body returns the first answer again, and has one effect`, async () => {
    const person = await app.person();
    const { path, body } = make(person);
    const headers = key();
    const first = await app.call("POST", path, { token: person.token, body, headers });
    assert.equal(first.status, 201);
    assert.equal(first.headers.get("idempotency-replayed"), null);
    const before = await rows();
    for (let i = 0; i < 2; i++) {
      const again = await app.call("POST", path, { token: person.token, body, headers });
      assert.deepEqual([again.status, again.body], [201, first.body]);
      assert.equal(again.headers.get("location"), first.headers.get("location"));
      assert.equal(again.headers.get("idempotency-replayed"), "true");
    }
    assert.equal(await rows(), before);
  });

  Deno.test(`${call} with the same key and another body is rejected without an effect`, async () => {
    const person = await app.person();
    const { path, body, other } = make(person);
    const headers = key();
    await app.ok("POST", path, { token: person.token, body, headers });
    const before = await rows();
    await app.refused("idempotency-key-reused", "POST", path, { token: person.token, body: other, headers });
    assert.equal(await rows(), before);
  });

  Deno.test(`${call} many times at once with one key has one effect`, async () => {
    const person = await app.person();
    const { path, body } = make(person);
    const headers = key();
    const before = await rows();
    const answers = await Promise.all(
      Array.from({ length: 10 }, () => app.call("POST", path, { token: person.token, body, headers })),
    );
    const made = answers.filter(({ status }) => status === 201);
    assert.ok(made.length >= 1);
    for (const answer of answers) {
      if (answer.status === 201) assert.deepEqual(answer.body, made[0]!.body);
      else assert.equal(answer.slug, "idempotency-key-running");
      if (answer.status === 409) assert.ok(Number(answer.headers.get("retry-after")) >= 1);
    }
    // An account has a page.
    assert.equal(await rows(), before + (call === "POST /users" ? 2 : 1));
  });

  Deno.test(`${call} accepts only a key of visible ASCII characters`, async () => {
    const person = await app.person();
    const { path, body } = make(person);
    for (const value of ["", "two words", "x".repeat(129)]) {
      const headers = { "idempotency-key": value };
      const { errors } = await app.refused("validation", "POST", path, { token: person.token, body, headers });
      assert.equal(errors[0].path, "Idempotency-Key");
    }
  });
}

Deno.test("A key belongs to its account and its address", async () => {
  const [one, other] = await app.people(2);
  const headers = key();
  const body = { name: "A page" };
  const first = await app.ok("POST", "/pages", { token: one!.token, body, headers });
  const second = await app.ok("POST", "/pages", { token: other!.token, body, headers });
  assert.notEqual(first.id, second.id);
  const path = `/pages/${one!.page_id}/posts`;
  await app.refused("idempotency-key-reused", "POST", path, { token: one!.token, body: { text: "Hi" }, headers });
});

Deno.test("A refused request leaves its key free for any body, also for the same one later", async () => {
  const [one, other] = await app.people(2);
  const headers = key();
  await app.refused("login-taken", "POST", "/users", { body: registration(one!.login), headers });
  await app.ok("POST", "/users", { body: registration(), headers });

  const [body, uuidHeaders] = [{ name: "A page", uuid: newLogin("h") }, key()];
  const taken = await app.page(one!, { uuid: body.uuid });
  const again = { token: other!.token, body, headers: uuidHeaders };
  for (let i = 0; i < 2; i++) await app.refused("uuid-taken", "POST", "/pages", again);
  await app.ok("DELETE", `/pages/${taken.id}`, { token: one!.token });
  assert.equal((await app.ok("POST", "/pages", again)).uuid, body.uuid);

  const page = await app.page(one!, { is_private: true });
  const secret = await app.post(one!, {}, page.id);
  const reply = { token: other!.token, body: { text: "Hello", reply_to: secret.id }, headers: key() };
  const path = `/pages/${other!.page_id}/posts`;
  await app.refused("not-found", "POST", path, reply);
  await app.ok("PATCH", `/pages/${page.id}`, { token: one!.token, body: { is_private: false } });
  assert.equal((await app.ok("POST", path, reply)).reply_to.state, "available");
});

Deno.test("A replayed registration does not reveal its answer to a caller with another password", async () => {
  const headers = key();
  const body = registration(newLogin());
  await app.ok("POST", "/users", { body, headers });
  await app.refused("idempotency-key-reused", "POST", "/users", {
    body: { ...body, password: `${PASSWORD}x` },
    headers,
  });
});

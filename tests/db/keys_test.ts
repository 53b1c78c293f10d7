import assert from "node:assert/strict";
import { Log } from "../../lib/log.ts";
import { Keys } from "../../security/keys.ts";
import { Secret } from "../../security/secret.ts";
import { Tokens } from "../../security/tokens.ts";
import { openTestDatabase } from "../support/database.ts";

const log = new Log("error");
const secret = new Secret("a".repeat(32));
const TTL = { accessMs: 1_800_000, refreshMs: 86_400_000 };
const session = (kid: string) => ({
  user_id: "018f0000-0000-7000-8000-000000000001",
  sid: "018f0000-0000-7000-8000-000000000002",
  gen: 0,
  issued_at_s: 1_700_000_000,
  kid,
});

Deno.test("Nodes that start together have one signing key, and another secret decrypts none", async () => {
  await using sql = await openTestDatabase();
  await using a = await Keys.load(sql, secret, log);
  await sql.execute("delete from signing_keys");
  const nodes = await Promise.all([1, 2, 3].map(() => Keys.load(sql, secret, log)));
  assert.deepEqual(nodes.map((keys) => keys.list().length), [1, 1, 1]);
  assert.equal(new Set(nodes.map((keys) => keys.jwks().keys[0]!["x"])).size, 1);
  for (const keys of nodes) await keys[Symbol.asyncDispose]();
  await assert.rejects(Keys.load(sql, new Secret("b".repeat(32)), log), /SECRET_KEY/);
  assert.ok(a.currentKid);
});

Deno.test("Every node has a new key before it signs, and tokens of the old key stay valid", async () => {
  await using sql = await openTestDatabase();
  await using a = await Keys.load(sql, secret, log);
  await using b = await Keys.load(sql, secret, log);
  const old = a.currentKid;
  const issued = new Tokens(a, TTL).mint(session(old)).access_token;
  const fresh = await a.rotate(TTL.refreshMs);
  assert.equal(a.currentKid, old);
  await b.reload();
  assert.deepEqual(new Set(b.jwks().keys.map(({ kid }) => kid)), new Set([old, fresh]));
  await sql.execute("update signing_keys set created_at = created_at - interval '3 minutes'");
  await a.reload();
  assert.equal(a.currentKid, fresh);
  const token = new Tokens(a, TTL).mint(session(fresh)).access_token;
  assert.equal(new Tokens(b, TTL).verify(token, "access").ok, true);
  assert.equal(new Tokens(b, TTL).verify(issued, "access").ok, true);
  for (const key of a.jwks().keys) assert.equal(key["d"], undefined);
  await sql.execute("update signing_keys set retired_at = now() - interval '2 days' where kid = $1", [old]);
  await a.rotate(TTL.refreshMs);
  assert.equal(new Tokens(a, TTL).verify(issued, "access").ok, false);
});

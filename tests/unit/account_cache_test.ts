/** What a node remembers of accounts, and when it reads Postgres instead. */
import assert from "node:assert/strict";
import { AccountCache, AccountReader } from "../../actors/account_cache.ts";
import type { Reader } from "../../db/sql.ts";
import type { AccountSnapshot } from "../../db/users.ts";
import type { AppError } from "../../lib/errors.ts";

const NOW = Date.parse("2026-01-31T12:00:00.000Z");
const claims = { sub: "ada", sid: "s1", gen: 3, iat: 0, exp: NOW / 1_000 + 60 };

/** Postgres with one account; an answer has what was stored when it was asked. */
class Postgres implements Reader {
  stored: AccountSnapshot | null = {
    role: "user",
    verified: true,
    blocked_until: null,
    blocked_reason: null,
    session: { id: "s1", generation: 3 },
  };
  reads = 0;
  gate: Promise<void> | undefined;

  async query<Row>(_text: string, _params: unknown, name?: string): Promise<Row[]> {
    // How a session ended.
    if (name !== "user.facets") return [];
    this.reads++;
    const rows = this.stored ? [{ id: "ada", ...this.stored }] : [];
    await this.gate;
    return rows as Row[];
  }
}

function world() {
  const sql = new Postgres();
  const license = { holds: true };
  return { sql, license, cache: new AccountCache(sql, license) };
}

const roleOf = async (reading: Promise<AccountSnapshot | null>) => (await reading)?.role;

Deno.test("An account is read once until it changes", async () => {
  const { sql, cache } = world();
  for (let i = 0; i < 3; i++) assert.equal(await roleOf(cache.snapshot("ada")), "user");
  await cache.authenticate(claims as never, NOW);
  assert.equal(sql.reads, 1);
  sql.stored = { ...sql.stored!, role: "admin" };
  assert.equal(await roleOf(cache.snapshot("ada")), "user", "it does not know yet");
  cache.changed("ada");
  assert.equal(await roleOf(cache.snapshot("ada")), "admin");
  assert.equal(sql.reads, 2);
});

Deno.test("What was read while the account changed is not remembered", async () => {
  const { sql, cache } = world();
  const gate = Promise.withResolvers<void>();
  sql.gate = gate.promise;
  const reading = cache.snapshot("ada");
  sql.stored = { ...sql.stored!, role: "admin" };
  cache.changed("ada");
  // A later read is not obsolete, whichever ends first.
  const later = cache.snapshot("ada");
  gate.resolve();
  assert.deepEqual(await Promise.all([roleOf(reading), roleOf(later)]), ["user", "admin"]);
  assert.equal(await roleOf(cache.snapshot("ada")), "admin");
  assert.equal(sql.reads, 2);
});

Deno.test("A change of one account leaves reads of others alone", async () => {
  const { sql, cache } = world();
  const reading = cache.snapshot("ada");
  cache.changed("bob");
  await reading;
  await cache.snapshot("ada");
  assert.equal(sql.reads, 1);
});

Deno.test("Without a license Postgres is read at each request, and what is remembered does not count", async () => {
  const { sql, license, cache } = world();
  await cache.snapshot("ada");
  license.holds = false;
  sql.stored = { ...sql.stored!, blocked_until: "infinity", blocked_reason: "a test" };
  await assert.rejects(cache.authenticate(claims as never, NOW), (error: AppError) => error.code === "account-blocked");
  assert.equal((await cache.snapshot("ada"))!.blocked_until, "infinity");
  assert.equal(sql.reads, 3);
});

Deno.test("What was read without a license is not remembered", async () => {
  const { sql, license, cache } = world();
  license.holds = false;
  await cache.snapshot("ada");
  license.holds = true;
  await cache.snapshot("ada");
  assert.equal(sql.reads, 2);
});

Deno.test("An account that does not exist is not remembered, as it may be created", async () => {
  const { sql, cache } = world();
  const { stored } = sql;
  sql.stored = null;
  assert.equal(await cache.snapshot("ada"), null);
  await assert.rejects(cache.authenticate(claims as never, NOW), (error: AppError) => error.code === "token-invalid");
  sql.stored = stored;
  assert.equal(await roleOf(cache.snapshot("ada")), "user");
});

/** What an account and a token say together. */
const TABLE: [what: string, account: Partial<AccountSnapshot>, token: Partial<typeof claims>, code: string][] = [
  ["an account that is blocked", { blocked_until: "infinity" }, {}, "account-blocked"],
  ["the token of an earlier generation", {}, { gen: 2 }, "token-refreshed"],
  ["the token of a generation that was never issued", {}, { gen: 4 }, "token-invalid"],
  ["a token that has expired", {}, { exp: NOW / 1_000 }, "token-expired"],
];

for (const [what, account, token, code] of TABLE) {
  Deno.test(`A request with ${what} is refused: ${code}`, async () => {
    const { sql, cache } = world();
    sql.stored = { ...sql.stored!, ...account };
    for (const accounts of [cache, new AccountReader(sql)]) {
      const asking = accounts.authenticate({ ...claims, ...token } as never, NOW);
      await assert.rejects(asking, (error: AppError) => error.code === code);
    }
  });
}

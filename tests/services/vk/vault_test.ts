import assert from "node:assert/strict";
import { type Cache, CacheUnavailable } from "../../../lib/cache/cache.ts";
import { MemoryCache } from "../../../lib/cache/memory.ts";
import type { Sql } from "../../../db/sql.ts";
import { storeVkToken } from "../../../db/vk_tokens.ts";
import { AppError } from "../../../lib/errors.ts";
import { Log } from "../../../lib/log.ts";
import { newId } from "../../../lib/ids.ts";
import { Secret } from "../../../security/secret.ts";
import { VkToken } from "../../../services/vk/token.ts";
import { TokenVault } from "../../../services/vk/vault.ts";
import { openTestDatabase } from "../../support/database.ts";

const [OLD, NEW] = ["a".repeat(32), "b".repeat(32)];
const TOKEN = "a-token-that-is-never-shown";
const log = new Log("error");

let sql: Sql;
Deno.test.beforeAll(async () => {
  sql = await openTestDatabase();
});
Deno.test.afterAll(async () => await sql[Symbol.asyncDispose]());

async function account(): Promise<string> {
  const id = newId();
  await sql.execute(
    `insert into users (id, login, password_hash, first_name, last_name, email, page_id, created_at)
    values ($1, $2, '', 'A', 'B', $2, $1, now())`,
    [id, id],
  );
  return id;
}

function vaultOn(copies: Cache, secret = new Secret(OLD)): TokenVault {
  return new TokenVault({ sql, copies, secret, log });
}

async function held(vault: TokenVault, user: string): Promise<string> {
  const { token, kind } = await vault.of(user);
  return `${kind} ${token.reveal()}`;
}

async function refusal(call: Promise<unknown>): Promise<string> {
  const error = await call.then(() => undefined, (error) => error);
  assert.ok(error instanceof AppError, `Expected a problem, got ${error}`);
  return error.code;
}

Deno.test("A token is stored as ciphertext in both places, and used from the copy", async () => {
  await using copies = new MemoryCache();
  const [vault, user] = [vaultOn(copies), await account()];
  assert.equal(await refusal(vault.of(user)), "vk-token-missing");
  await vault.put(user, "user", new VkToken(TOKEN));
  assert.equal(await held(vault, user), `user ${TOKEN}`);
  const copy = (await copies.get(`vk:token:${user}`))!;
  const [row] = await sql.query<{ sealed: Uint8Array }>("select sealed from vk_tokens where user_id = $1", [user]);
  const kept = [
    copy,
    new TextDecoder("latin1").decode(row!.sealed),
    atob(copy.split(".")[1]!.replaceAll("-", "+").replaceAll("_", "/")),
  ];
  for (const text of kept) assert.ok(!text.includes("nobody"), text);
  // With a damaged ciphertext in Postgres the copy is used.
  await sql.execute("update vk_tokens set sealed = '\\x00' where user_id = $1", [user]);
  assert.equal(await held(vault, user), `user ${TOKEN}`);
});

Deno.test("A lost, damaged or foreign copy is created again", async () => {
  await using copies = new MemoryCache();
  const [vault, user, other] = [vaultOn(copies), await account(), await account()];
  await vault.put(user, "service", new VkToken(TOKEN));
  await vault.put(other, "user", new VkToken("another"));
  const key = `vk:token:${user}`;
  const good = (await copies.get(key))!;
  const spoilt = `${good.slice(0, -2)}${good.endsWith("AA") ? "BB" : "AA"}`;
  for (
    const copy of [null, "", "nonsense", `${good.split(".")[0]}.%%%`, spoilt, await copies.get(`vk:token:${other}`)]
  ) {
    if (copy === null) await copies.delete(key);
    else await copies.set(key, copy, 10_000);
    assert.equal(await held(vault, user), `service ${TOKEN}`, String(copy));
    assert.equal(await copies.get(key), good, String(copy));
  }
});

Deno.test("Deleting removes both, and a leftover copy is never used", async () => {
  await using copies = new MemoryCache();
  const [vault, user] = [vaultOn(copies), await account()];
  await vault.put(user, "user", new VkToken(TOKEN));
  const copy = (await copies.get(`vk:token:${user}`))!;
  await vault.remove(user);
  assert.equal(await copies.get(`vk:token:${user}`), null);
  assert.deepEqual(await sql.query("select from vk_tokens where user_id = $1", [user]), []);
  // Redis would still have it after an outage.
  await copies.set(`vk:token:${user}`, copy, 10_000);
  assert.equal(await refusal(vault.of(user)), "vk-token-missing");
  await vault.put(user, "user", new VkToken("the next"));
  await copies.set(`vk:token:${user}`, copy, 10_000);
  assert.equal(await held(vault, user), "user the next");
});

Deno.test("A deletion between the read of a token and its copy leaves no copy", async () => {
  await using copies = new MemoryCache();
  const [plain, user] = [vaultOn(copies), await account()];
  await plain.put(user, "user", new VkToken(TOKEN));
  await copies.delete(`vk:token:${user}`);
  // The worst moment is just before the copy is set.
  const slow = between(copies, "set", () => plain.remove(user));
  await vaultOn(slow).of(user);
  assert.equal(await copies.get(`vk:token:${user}`), null);
  const putting = between(copies, "set", () => plain.remove(user));
  await vaultOn(putting).put(user, "user", new VkToken(TOKEN));
  assert.equal(await copies.get(`vk:token:${user}`), null);
});

Deno.test("Without Redis nothing is lost", async () => {
  const away = new Proxy({} as Cache, { get: () => () => Promise.reject(new CacheUnavailable()) });
  const [vault, user] = [vaultOn(away), await account()];
  await vault.put(user, "user", new VkToken(TOKEN));
  assert.equal(await held(vault, user), `user ${TOKEN}`);
  await vault.remove(user);
  assert.equal(await refusal(vault.of(user)), "vk-token-missing");
});

Deno.test("A token that VK rejected is dropped and reported, unless it was replaced meanwhile", async () => {
  await using copies = new MemoryCache();
  const [vault, user] = [vaultOn(copies), await account()];
  await vault.put(user, "user", new VkToken(TOKEN));
  const { version } = await vault.of(user);
  await vault.put(user, "user", new VkToken("the next"));
  await vault.refused(user, version);
  assert.equal(await held(vault, user), "user the next");
  await vault.refused(user, (await vault.of(user)).version);
  assert.equal(await refusal(vault.of(user)), "vk-token-invalid");
  assert.equal(await copies.get(`vk:token:${user}`), null);
  const [row] = await sql.query<{ sealed: null }>("select sealed from vk_tokens where user_id = $1", [user]);
  assert.equal(row!.sealed, null);
  await vault.put(user, "user", new VkToken(TOKEN));
  assert.equal(await held(vault, user), `user ${TOKEN}`);
});

Deno.test("A new SECRET_KEY decrypts with the previous one, and after resealing alone", async () => {
  await using copies = new MemoryCache();
  const users = [await account(), await account(), await account()];
  for (const user of users) await vaultOn(copies).put(user, "user", new VkToken(TOKEN + user));
  const both = vaultOn(copies, new Secret(NEW, OLD));
  for (const user of users) assert.equal(await held(both, user), `user ${TOKEN}${user}`);
  await both.put(users[0]!, "user", new VkToken(TOKEN + users[0]));
  const { done, lost } = await both.reseal();
  assert.ok(done >= 2, `${done}`);
  assert.deepEqual(await both.reseal(), { done: 0, lost });
  for (const user of users) assert.equal(await held(vaultOn(copies, new Secret(NEW)), user), `user ${TOKEN}${user}`);
  await using none = new MemoryCache();
  assert.equal(await refusal(vaultOn(none, new Secret(OLD)).of(users[0]!)), "vk-token-invalid");
});

Deno.test("Ciphertext is bound to its account and version", async () => {
  await using copies = new MemoryCache();
  const [vault, user, thief] = [vaultOn(copies), await account(), await account()];
  await vault.put(user, "user", new VkToken(TOKEN));
  const [row] = await sql.query<{ version: string; sealed: Uint8Array }>(
    "select version, sealed from vk_tokens where user_id = $1",
    [user],
  );
  await storeVkToken(sql, thief, { version: row!.version, kind: "user", sealed: row!.sealed });
  assert.equal(await refusal(vaultOn(copies).of(thief)), "vk-token-invalid");
});

Deno.test("A token is deleted with its account, and a deleted account cannot get one", async () => {
  await using copies = new MemoryCache();
  const [vault, user] = [vaultOn(copies), await account()];
  await vault.put(user, "user", new VkToken(TOKEN));
  await sql.execute("delete from users where id = $1", [user]);
  assert.deepEqual(await sql.query("select from vk_tokens where user_id = $1", [user]), []);
  assert.equal(await refusal(vault.put(user, "user", new VkToken(TOKEN))), "not-found");
});

/** A cache that runs a function once, just before one of its methods. */
function between(cache: Cache, method: keyof Cache, happens: () => Promise<void>): Cache {
  let happened = false;
  return new Proxy(cache, {
    get: (target, name) => async (...args: unknown[]) => {
      if (name === method && !happened) {
        happened = true;
        await happens();
      }
      // deno-lint-ignore no-explicit-any -- any method
      return await (target as any)[name](...args);
    },
  });
}

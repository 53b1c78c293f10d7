/**
 * Lists or rotates the keys that sign tokens, or re-encrypts what an earlier SECRET_KEY encrypted. A new key is
 * published first and signs a few minutes later, so no node meets a token it cannot verify. The old key verifies its
 * tokens for the lifetime of a refresh token.
 */
import { readCommandLine } from "../lib/command_line.ts";
import { keys } from "./commands/keys.ts";
import { MemoryCache } from "../lib/cache/memory.ts";
import type { Sql } from "../db/sql.ts";
import { Log } from "../lib/log.ts";
import { Keys } from "../security/keys.ts";
import { Secret } from "../security/secret.ts";
import { TokenVault } from "../services/vk/vault.ts";
import { configOrExit, exitCodeOf, isMade, openDatabase } from "./database.ts";
import { fail, remark, say } from "./terminal.ts";

const { command } = readCommandLine(keys);
const config = configOrExit();
try {
  if (!await isMade(config)) fail(`There is no database in "${config.DATA_DIR}" yet; start Rookery once`);
  await using database = await openDatabase(config);
  if (!await hasKeys(database.sql)) fail("There are no signing keys yet; start Rookery once");
  const secret = await Secret.load(config.SECRET_KEY, config.DATA_DIR, config.SECRET_KEY_PREVIOUS);
  await using ring = await Keys.load(database.sql, secret, new Log("error"));
  if (command === "reseal") await reseal(database.sql, ring, secret);
  if (command === "rotate") {
    const kid = await ring.rotate(config.REFRESH_TOKEN_TTL);
    say(`New key ${kid}: nodes load it within a minute and sign with it a few minutes later`);
  }
  for (const { kid, retired } of ring.list()) {
    const signs = kid === ring.currentKid;
    say(`${kid}  ${signs ? (retired ? "signs, until the new one does" : "signs") : retired ? "checks" : "waits"}`);
  }
} catch (error) {
  fail(`Cannot access the keys: ${error instanceof Error ? error.message : error}`, exitCodeOf(error));
}
Deno.exit(0);

async function reseal(sql: Sql, keys: Keys, secret: Secret): Promise<void> {
  const signing = await keys.reseal();
  // Cached tokens that cannot be decrypted are created again.
  await using copies = new MemoryCache();
  const { done, lost } = await new TokenVault({ sql, copies, secret, log: new Log("error") }).reseal();
  say(
    `Re-encrypted: ${signing} signing keys, ${done} VK tokens; ` +
      "remove SECRET_KEY_PREVIOUS once every process has SECRET_KEY",
  );
  if (lost > 0) remark(`${lost} VK tokens cannot be decrypted with either key: their owners must store them again`);
}

async function hasKeys(sql: Sql): Promise<boolean> {
  const [found] = await sql.query<{ made: boolean }>("select to_regclass('signing_keys') is not null as made");
  return found?.made === true && (await sql.query("select 1 from signing_keys limit 1")).length > 0;
}

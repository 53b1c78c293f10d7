/** The statistics check tokens with the public keys in the database, which change. */
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { AppError } from "../../../lib/errors.ts";
import { type Reader, SqlError } from "../../../db/sql.ts";
import type { Keys, SigningKey } from "../../../security/keys.ts";
import { Tokens } from "../../../security/tokens.ts";
import { Verifier } from "../../../services/stats/verifier.ts";

const ACCOUNT = "018f0000-0000-7000-8000-000000000001";
const SID = "018f0000-0000-7000-8000-000000000002";

function key(kid: string): SigningKey {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  return {
    kid,
    privateKey,
    publicKey,
    jwk: publicKey.export({ format: "jwk" }) as Record<string, string>,
    retired: false,
  };
}

function tokenBy(signing: SigningKey, { ageMs = 0, ttlMs = 60_000 } = {}): string {
  const tokens = new Tokens({ get: () => signing } as unknown as Keys, { accessMs: ttlMs, refreshMs: ttlMs });
  const issued_at_s = Math.floor((Date.now() - ageMs) / 1000);
  return tokens.mint({ user_id: ACCOUNT, sid: SID, gen: 0, issued_at_s, kid: signing.kid }).access_token;
}

/** A database with keys that counts its reads. */
class Ledger implements Reader {
  keys: SigningKey[] = [];
  reads = 0;
  isAway = false;

  query<Row>(): Promise<Row[]> {
    this.reads++;
    if (this.isAway) return Promise.reject(new SqlError("connection refused", "unavailable"));
    return Promise.resolve(this.keys.map(({ kid, jwk }) => ({ kid, public_jwk: jwk })) as Row[]);
  }
}

async function verified(verifier: Verifier, token: string): Promise<string> {
  return await verifier.account(`Bearer ${token}`).catch((error) => {
    assert.ok(error instanceof AppError, `${error}`);
    return error.code;
  });
}

Deno.test("Keys are read once for many tokens, and invented key ids cause no repeated reads", async () => {
  const ledger = new Ledger();
  const first = key("first");
  ledger.keys = [first];
  const verifier = new Verifier(ledger);
  const tokens = Array.from({ length: 20 }, (_, i) => tokenBy(first, { ageMs: i * 1000 }));
  const verdicts = await Promise.all(tokens.map((token) => verified(verifier, token)));
  assert.deepEqual(new Set(verdicts), new Set([ACCOUNT]));
  assert.equal(ledger.reads, 1);
  for (let i = 0; i < 20; i++) assert.equal(await verified(verifier, tokenBy(key(`made up ${i}`))), "token-invalid");
  assert.equal(ledger.reads, 1);
  assert.equal(await verified(verifier, tokenBy(key("first"))), "token-invalid", "another key with the same id");
  assert.equal(await verified(verifier, tokenBy(first, { ageMs: 3_600_000 })), "token-expired");
});

Deno.test("A new key is read at its first token, and unknown key ids are looked up once per interval", async () => {
  const ledger = new Ledger();
  const [first, second] = [key("first"), key("second")];
  ledger.keys = [first];
  let now = 0;
  const verifier = new Verifier(ledger, () => now);
  assert.equal(await verified(verifier, tokenBy(first)), ACCOUNT);
  ledger.keys = [first, second];
  now = 4_000;
  assert.equal(await verified(verifier, tokenBy(second)), "token-invalid");
  assert.equal(ledger.reads, 1);
  now = 5_100;
  assert.equal(await verified(verifier, tokenBy(second)), ACCOUNT);
  assert.equal(ledger.reads, 2);
});

Deno.test("A removed key is accepted for a minute at most", async () => {
  const ledger = new Ledger();
  const [first, second] = [key("first"), key("second")];
  ledger.keys = [first];
  let now = 0;
  const verifier = new Verifier(ledger, () => now);
  assert.equal(await verified(verifier, tokenBy(first)), ACCOUNT);
  ledger.keys = [second];
  now = 60_000;
  assert.equal(await verified(verifier, tokenBy(first)), "token-invalid");
});

Deno.test("Without the keys no caller is authenticated, and no token is reported as invalid", async () => {
  const ledger = new Ledger();
  const first = key("first");
  ledger.keys = [first];
  ledger.isAway = true;
  let now = 0;
  const verifier = new Verifier(ledger, () => now);
  assert.equal(await verified(verifier, tokenBy(first)), "stats-unavailable");
  ledger.isAway = false;
  assert.equal(await verified(verifier, tokenBy(first)), ACCOUNT, "the failure is not cached");
  ledger.isAway = true;
  now = 59_000;
  assert.equal(await verified(verifier, tokenBy(first)), ACCOUNT, "a known key needs no database");
  now = 60_000;
  assert.equal(await verified(verifier, tokenBy(first)), "stats-unavailable");
});

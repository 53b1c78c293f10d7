/** How the statistics check tokens: by keys that an address publishes, and that change. */
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { AppError } from "../../../lib/errors.ts";
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

/** A published document, which counts how often it was read. */
class Published implements AsyncDisposable {
  keys: SigningKey[] = [];
  reads = 0;
  readonly #server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, () => {
    this.reads++;
    return Response.json({ keys: this.keys.map(({ kid, jwk }) => ({ ...jwk, kid, use: "sig", alg: "EdDSA" })) });
  });
  readonly url = `http://127.0.0.1:${this.#server.addr.port}`;

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}

async function judged(verifier: Verifier, token: string): Promise<string> {
  return await verifier.account(`Bearer ${token}`).catch((error) => {
    assert.ok(error instanceof AppError, `${error}`);
    return error.code;
  });
}

Deno.test("Keys are fetched once for many tokens, and invented key ids cause no repeated fetches", async () => {
  await using published = new Published();
  const first = key("first");
  published.keys = [first];
  const verifier = new Verifier(published.url);
  for (let i = 0; i < 20; i++) assert.equal(await judged(verifier, tokenBy(first, { ageMs: i * 1000 })), ACCOUNT);
  assert.equal(published.reads, 1);
  for (let i = 0; i < 20; i++) assert.equal(await judged(verifier, tokenBy(key(`made up ${i}`))), "token-invalid");
  assert.equal(published.reads, 1);
  assert.equal(await judged(verifier, tokenBy(key("first"))), "token-invalid", "somebody else's key of that name");
  assert.equal(await judged(verifier, tokenBy(first, { ageMs: 3_600_000 })), "token-expired");
});

Deno.test("A new key is fetched at its first token, and a removed one is no longer accepted", async () => {
  await using published = new Published();
  const [first, second] = [key("first"), key("second")];
  published.keys = [first];
  const verifier = new Verifier(published.url);
  assert.equal(await judged(verifier, tokenBy(first)), ACCOUNT);
  published.keys = [second];
  // Not at once: the pause is what keeps made-up ids cheap.
  await new Promise((resolve) => setTimeout(resolve, 5_100));
  assert.equal(await judged(verifier, tokenBy(second)), ACCOUNT);
  assert.equal(published.reads, 2);
  assert.equal(await judged(verifier, tokenBy(first)), "token-invalid");
});

Deno.test("Without the keys nobody is authenticated, and no token is reported as wrong", async () => {
  const first = key("first");
  let url: string;
  {
    await using published = new Published();
    url = published.url;
  }
  assert.equal(await judged(new Verifier(url), tokenBy(first)), "stats-unavailable");
});

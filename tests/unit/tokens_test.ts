import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createHmac, createPublicKey, generateKeyPairSync, type KeyObject, sign, verify } from "node:crypto";
import type { Keys, SigningKey } from "../../security/keys.ts";
import { Tokens } from "../../security/tokens.ts";

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

const MINE = key("mine");
const THEIRS = key("theirs");
const tokens = new Tokens({ get: (kid: string) => kid === "mine" ? MINE : undefined } as unknown as Keys, {
  accessMs: 1_800_000,
  refreshMs: 86_400_000,
});
const SESSION = {
  user_id: "018f0000-0000-7000-8000-000000000001",
  sid: "018f0000-0000-7000-8000-000000000002",
  gen: 3,
  issued_at_s: 1_700_000_000,
  kid: "mine",
};
const { access_token: access, refresh_token: refresh, expires_in } = tokens.mint(SESSION);
const [header, payload, signature] = access.split(".") as [string, string, string];

const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
const decode = (part: string) => JSON.parse(Buffer.from(part, "base64url").toString());
function forge(head: unknown, body: unknown, by: KeyObject = MINE.privateKey): string {
  const signed = `${encode(head)}.${encode(body)}`;
  return `${signed}.${sign(null, Buffer.from(signed), by).toString("base64url")}`;
}
const HEAD = { alg: "EdDSA", typ: "at+jwt", kid: "mine" };
const CLAIMS = decode(payload);

Deno.test("The same session gets the same pair, another generation another one", () => {
  assert.deepEqual(tokens.mint(SESSION), { access_token: access, refresh_token: refresh, expires_in });
  assert.notEqual(tokens.mint({ ...SESSION, gen: 4 }).access_token, access);
  assert.equal(expires_in, 1_800);
});

Deno.test("A token carries the session and verifies as its own kind only", () => {
  const verdict = tokens.verify(access, "access");
  assert.ok(verdict.ok);
  const { sub, sid, gen, iat, exp, iss } = verdict.claims;
  assert.deepEqual({ sub, sid, gen, iat, exp, iss }, {
    sub: SESSION.user_id,
    sid: SESSION.sid,
    gen: 3,
    iat: 1_700_000_000,
    exp: 1_700_001_800,
    iss: "rookery",
  });
  assert.deepEqual(tokens.verify(access, "access"), verdict);
  assert.equal(tokens.verify(refresh, "refresh").ok, true);
  assert.equal(tokens.verify(access, "refresh").ok, false);
  assert.equal(tokens.verify(refresh, "access").ok, false);
});

Deno.test("Any service can verify a token with the published key", () => {
  const published = createPublicKey({ key: MINE.jwk, format: "jwk" });
  assert.equal(verify(null, Buffer.from(`${header}.${payload}`), published, Buffer.from(signature, "base64url")), true);
});

const hs256 = `${encode({ ...HEAD, alg: "HS256" })}.${payload}`;
const REFUSED: Record<string, string> = {
  "no token": "",
  "two parts": `${header}.${payload}`,
  "four parts": `${access}.x`,
  "no JSON": "a.b.c",
  "alg none": `${encode({ ...HEAD, alg: "none" })}.${payload}.`,
  "alg none with a signature": `${encode({ ...HEAD, alg: "none" })}.${payload}.${signature}`,
  "HS256 keyed with the public key": `${hs256}.${
    createHmac("sha256", Buffer.from(MINE.jwk["x"]!, "base64url")).update(hs256).digest("base64url")
  }`,
  "another alg, well signed": forge({ ...HEAD, alg: "ES256" }, CLAIMS),
  "no typ": forge({ alg: "EdDSA", kid: "mine" }, CLAIMS),
  "typ JWT": forge({ ...HEAD, typ: "JWT" }, CLAIMS),
  "no kid": forge({ alg: "EdDSA", typ: "at+jwt" }, CLAIMS),
  "an unknown kid": forge({ ...HEAD, kid: "theirs" }, CLAIMS, THEIRS.privateKey),
  "another key under our kid": forge(HEAD, CLAIMS, THEIRS.privateKey),
  "other claims under the signature": `${header}.${encode({ ...CLAIMS, gen: 4 })}.${signature}`,
  "another issuer": forge(HEAD, { ...CLAIMS, iss: "rook" }),
  "no session": forge(HEAD, { ...CLAIMS, sid: undefined }),
  "a signature spelt otherwise": `${header}.${payload}.${signature}=`,
  "over 2 KB": forge(HEAD, { ...CLAIMS, jti: "x".repeat(2_048) }),
};
for (const [name, token] of Object.entries(REFUSED)) {
  Deno.test(`A token is rejected: ${name}`, () => assert.deepEqual(tokens.verify(token, "access"), { ok: false }));
}

Deno.test("A well signed token of the same form is accepted", () => {
  assert.equal(tokens.verify(forge(HEAD, CLAIMS), "access").ok, true);
});

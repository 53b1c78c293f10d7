import assert from "node:assert/strict";
import { codeEmail } from "../../jobs/email/code_email.ts";
import { codeFor, codeMatches, newNonce } from "../../security/codes.ts";
import type { CodePurpose } from "../../db/letters.ts";

const KEY = new Uint8Array(32).fill(7);
const OTHER_KEY = new Uint8Array(32).fill(8);
const USER = "018f0000-0000-7000-8000-000000000001";
const OTHER_USER = "018f0000-0000-7000-8000-000000000002";

const of = (purpose: CodePurpose, user = USER, address = "ada@example.org") => ({ purpose, user, address });
const VERIFY = of("verify");

Deno.test("A code is eight characters of A–Z0–9 and follows from key, purpose, account, address and nonce", () => {
  const nonce = newNonce();
  const code = codeFor(KEY, VERIFY, nonce);
  assert.match(code, /^[A-Z0-9]{8}$/);
  assert.equal(codeFor(KEY, VERIFY, nonce), code);
  assert.equal(
    codeFor(KEY, of("verify", USER, "ADA@Example.ORG"), nonce),
    code,
    "spellings of one address give one code",
  );
  const others = [
    codeFor(OTHER_KEY, VERIFY, nonce),
    codeFor(KEY, of("recover", USER), nonce),
    codeFor(KEY, of("verify", OTHER_USER), nonce),
    codeFor(KEY, of("verify", USER, "old@example.org"), nonce),
    codeFor(KEY, VERIFY, newNonce()),
  ];
  for (const other of others) assert.notEqual(other, code);
});

Deno.test("A code matches itself, also in lower case and with spaces, and nothing else", () => {
  const nonce = newNonce();
  const code = codeFor(KEY, VERIFY, nonce);
  const wrong = (code.startsWith("A") ? "B" : "A") + code.slice(1);
  const cases: [given: string, matches: boolean][] = [
    [code, true],
    [` ${code.toLowerCase()} `, true],
    [wrong, false],
    [code.slice(1), false],
    [`${code}A`, false],
    ["", false],
    ["ÄÄÄÄ", false],
  ];
  for (const [given, matches] of cases) assert.equal(codeMatches(KEY, VERIFY, nonce, given), matches, given);
  assert.equal(codeMatches(KEY, of("recover", USER), nonce, code), false);
});

Deno.test("Every character of the alphabet comes about equally often", () => {
  const counts = new Map<string, number>();
  for (let i = 0; i < 9_000; i++) {
    for (const character of codeFor(KEY, VERIFY, String(i))) {
      counts.set(character, (counts.get(character) ?? 0) + 1);
    }
  }
  assert.equal(counts.size, 36);
  // 2,000 are expected of each; the bounds are about seven standard deviations away.
  for (const [character, count] of counts) assert.ok(count > 1_690 && count < 2_310, `${character}: ${count}`);
});

Deno.test("The code is the only word of eight characters A–Z0–9 in its email", () => {
  for (const purpose of ["verify", "recover"] as const) {
    const code = codeFor(KEY, of(purpose), newNonce());
    const { subject, text, html } = codeEmail(purpose, code);
    assert.deepEqual(text.match(/\b[A-Z0-9]{8}\b/g), [code]);
    assert.deepEqual(html.match(/\b[A-Z0-9]{8}\b/g), [code]);
    assert.equal(subject.match(/\b[A-Z0-9]{8}\b/g), null);
  }
});

import assert from "node:assert/strict";
import { hash } from "@node-rs/argon2";
import { AppError } from "../../lib/errors.ts";
import { hashPassword, verifyAccount, verifyPassword } from "../../security/passwords.ts";

Deno.test("A password is stored as argon2id with OWASP's parameters and its own salt", async () => {
  const [one, other] = await Promise.all([hashPassword("Passw0rd!"), hashPassword("Passw0rd!")]);
  assert.match(one, /^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
  assert.notEqual(one, other);
  assert.equal(await verifyPassword(one, "Passw0rd!"), true);
  assert.equal(await verifyPassword(one, "Passw0rd?"), false);
  assert.equal(await verifyAccount(undefined, "Passw0rd!"), false);
});

Deno.test("A password matches in any Unicode composition, also a hash from before normalisation", async () => {
  const composed = "Pässw0rd!";
  const decomposed = composed.normalize("NFD");
  assert.notEqual(composed, decomposed);
  const kept = await hashPassword(decomposed);
  for (const given of [composed, decomposed, "Ｐässw0rd!"]) {
    assert.equal(await verifyPassword(kept, given), true, given);
  }
  const old = await hash(decomposed);
  assert.equal(await verifyPassword(old, decomposed), true);
  assert.equal(await verifyPassword(old, composed), false);
});

Deno.test("Hashing does not block the event loop", async () => {
  let ticks = 0;
  const timer = setInterval(() => ticks++, 2);
  await Promise.all(Array.from({ length: 8 }, () => hashPassword("Passw0rd!")));
  clearInterval(timer);
  assert.ok(ticks >= 5, `${ticks} ticks`);
});

Deno.test("Over the limit of waiting hashes a password is rejected at once, and the others are checked", async () => {
  const passwordHash = await hashPassword("Passw0rd!");
  const outcomes = await Promise.allSettled(
    Array.from({ length: 230 }, () => verifyPassword(passwordHash, "Passw0rd!")),
  );
  const refused = outcomes.filter((outcome) => outcome.status === "rejected");
  assert.ok(refused.length > 0 && refused.length < 30, `${refused.length} refused`);
  for (const { reason } of refused) assert.ok(reason instanceof AppError && reason.code === "overloaded");
  assert.ok(outcomes.every((outcome) => outcome.status === "rejected" || outcome.value === true));
});

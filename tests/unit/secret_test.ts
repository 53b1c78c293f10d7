import assert from "node:assert/strict";
import { Secret } from "../../security/secret.ts";

const secret = new Secret("a".repeat(32));
const plain = new TextEncoder().encode("something to keep");

Deno.test("Ciphertext can be decrypted, and differs each time", () => {
  const sealed = secret.seal("p", plain, "row 1");
  assert.deepEqual(secret.open("p", sealed, "row 1"), plain);
  assert.notDeepEqual(secret.seal("p", plain, "row 1"), sealed);
  assert.deepEqual(secret.open("p", secret.seal("p", new Uint8Array(), ""), ""), new Uint8Array());
});

Deno.test("Another key, purpose or context, a changed byte or a short text cannot be decrypted", () => {
  const sealed = secret.seal("p", plain, "row 1");
  assert.throws(() => new Secret("b".repeat(32)).open("p", sealed, "row 1"));
  assert.throws(() => secret.open("q", sealed, "row 1"));
  assert.throws(() => secret.open("p", sealed, "row 2"));
  for (let i = 0; i < sealed.length; i++) {
    const changed = sealed.slice();
    changed[i]! ^= 1;
    assert.throws(() => secret.open("p", changed, "row 1"), `byte ${i}`);
  }
  for (const length of [0, 12, 20, 27]) assert.throws(() => secret.open("p", sealed.subarray(0, length), "row 1"));
});

Deno.test("The previous secret decrypts; its values are re-encrypted once, and new ones do not use it", () => {
  const [before, after] = [secret, new Secret("b".repeat(32), "a".repeat(32))];
  const old = before.seal("p", plain, "row 1");
  assert.deepEqual(after.open("p", old, "row 1"), plain);
  assert.throws(() => after.open("p", old, "row 2"));
  const resealed = after.reseal("p", old, "row 1")!;
  assert.equal(after.reseal("p", resealed, "row 1"), undefined);
  assert.deepEqual(new Secret("b".repeat(32)).open("p", resealed, "row 1"), plain);
  assert.throws(() => before.open("p", resealed, "row 1"));
  assert.throws(() => after.reseal("p", new Secret("c".repeat(32)).seal("p", plain, "row 1"), "row 1"));
  assert.equal(after.mac("p", "data"), new Secret("b".repeat(32)).mac("p", "data"));
});

Deno.test("A subkey and a MAC belong to one purpose", () => {
  assert.deepEqual(new Secret("a".repeat(32)).subkey("p"), secret.subkey("p"));
  assert.notDeepEqual(secret.subkey("q"), secret.subkey("p"));
  assert.notEqual(secret.mac("q", "data"), secret.mac("p", "data"));
});

Deno.test("The first start creates a key readable by its owner only, the second start keeps it", async () => {
  const folder = await Deno.makeTempDir({ prefix: "rookery-test-" });
  try {
    const made = await Secret.load(undefined, folder);
    const again = await Secret.load(undefined, folder);
    assert.equal(again.mac("p", "data"), made.mac("p", "data"));
    assert.equal((await Deno.stat(`${folder}/secret.key`)).mode! & 0o777, 0o600);
    assert.deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name), ["secret.key"]);
    const set = await Secret.load("c".repeat(32), folder);
    assert.notEqual(set.mac("p", "data"), made.mac("p", "data"));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

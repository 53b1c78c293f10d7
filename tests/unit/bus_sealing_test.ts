import assert from "node:assert/strict";
import { BusSealing } from "../../security/bus_sealing.ts";
import { Secret } from "../../security/secret.ts";

const secret = new Secret("a".repeat(32));
const [one, other] = [new BusSealing(secret), new BusSealing(secret)];
const stranger = new BusSealing(new Secret("b".repeat(32)));
const bytes = (length: number) => Uint8Array.from({ length }, (_, i) => i * 7);

Deno.test("Processes with the same secret read what each of them sealed, of any length", () => {
  for (const length of [0, 1, 15, 16, 17, 1_024, 600_000]) {
    const plain = bytes(length);
    for (const sealing of [one, other, one]) {
      assert.deepEqual(new Uint8Array(one.open(sealing.seal(plain, "to"), "to")!), plain);
      assert.deepEqual(new Uint8Array(other.open(sealing.seal(plain, "to"), "to")!), plain);
    }
  }
});

Deno.test("A sealed message is another one each time, and shows nothing of its text", () => {
  const plain = new TextEncoder().encode("a password hash ".repeat(10));
  const sealed = [one.seal(plain, "to"), one.seal(plain, "to"), other.seal(plain, "to")].map((each) =>
    new TextDecoder("latin1").decode(each)
  );
  // Sender and number, then tag and text.
  assert.equal(new Set(sealed.map((each) => each.slice(0, 24))).size, 3);
  assert.equal(new Set(sealed.map((each) => each.slice(24))).size, 3);
  assert.ok(!sealed.join().includes("password"));
});

Deno.test("A message of a stranger, for something else or with a changed byte is not opened", () => {
  const plain = bytes(100);
  assert.equal(one.open(stranger.seal(plain, "to"), "to"), undefined);
  const sealed = one.seal(plain, "to");
  assert.equal(other.open(sealed, "to another"), undefined);
  assert.equal(other.open(sealed, ""), undefined);
  for (let i = 0; i < sealed.length; i++) {
    const changed = sealed.slice();
    changed[i]! ^= 1;
    assert.equal(other.open(changed, "to"), undefined, `byte ${i}`);
    assert.equal(other.open(sealed.subarray(0, i), "to"), undefined, `${i} bytes`);
  }
  assert.deepEqual(new Uint8Array(other.open(sealed, "to")!), plain);
});

Deno.test("A message is opened within a longer buffer, as it comes from a socket", () => {
  const sealed = one.seal(bytes(50), "to");
  const buffer = new Uint8Array(200);
  buffer.set(sealed, 77);
  assert.deepEqual(new Uint8Array(other.open(buffer.subarray(77, 77 + sealed.length), "to")!), bytes(50));
});

Deno.test("Any number of processes may have sent something before", () => {
  const receiver = new BusSealing(secret);
  const first = one.seal(bytes(3), "to");
  assert.ok(receiver.open(first, "to"));
  for (let i = 0; i < 1_100; i++) assert.ok(receiver.open(new BusSealing(secret).seal(bytes(3), "to"), "to"));
  assert.ok(receiver.open(first, "to"));
});

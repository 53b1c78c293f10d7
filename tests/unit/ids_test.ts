import assert from "node:assert/strict";
import { newId } from "../../lib/ids.ts";

const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

Deno.test("newId makes version 7 ids that carry the time", () => {
  const later = Date.now() + 60_000;
  const id = newId(later);
  assert.match(id, UUID_V7);
  assert.equal(parseInt(id.replace("-", "").slice(0, 12), 16), later);
});

Deno.test("newId increases strictly, also over the counter of one millisecond and when the clock goes back", () => {
  const now = Date.now() + 120_000;
  const ids = [
    ...Array.from({ length: 10_000 }, () => newId(now)),
    newId(now - 3_600_000),
    newId(0),
    newId(now + 1_000),
  ];
  for (let i = 1; i < ids.length; i++) assert.ok(ids[i]! > ids[i - 1]!, `${ids[i]} is not above ${ids[i - 1]}`);
  for (const id of ids) assert.match(id, UUID_V7);
});

import assert from "node:assert/strict";
import { squareOf, variantsOf } from "../../../services/images/square.ts";

Deno.test("A picture's square is centred, with an odd pixel to the right and below", () => {
  const cases: [width: number, height: number, x: number, y: number, side: number][] = [
    [400, 200, 100, 0, 200],
    [401, 200, 100, 0, 200],
    [402, 200, 101, 0, 200],
    [200, 400, 0, 100, 200],
    [200, 403, 0, 101, 200],
    [300, 300, 0, 0, 300],
    [1, 1, 0, 0, 1],
    [2, 1, 0, 0, 1],
    [50_000_000, 1, 24_999_999, 0, 1],
  ];
  for (const [width, height, x, y, side] of cases) assert.deepEqual(squareOf(width, height), { x, y, side });
});

Deno.test("Variants are always smaller than the square", () => {
  assert.deepEqual(variantsOf(3000), [1080, 320]);
  assert.deepEqual(variantsOf(1081), [1080, 320]);
  assert.deepEqual(variantsOf(1080), [320]);
  assert.deepEqual(variantsOf(321), [320]);
  assert.deepEqual(variantsOf(320), []);
  assert.deepEqual(variantsOf(300), []);
});

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import sharp from "sharp";
import { imagescriptEngine } from "../../../services/images/imagescript_engine.ts";
import { probe } from "../../../services/images/probe.ts";
import { sharpEngine } from "../../../services/images/sharp_engine.ts";
import { bare, imageEngineSuite, near, refuses, sameCells } from "../../conformance/image_engine_suite.ts";
import { cells, draw, paint, photo, pixel, pixelsOf, storedAs } from "./pictures.ts";

imageEngineSuite(sharpEngine);
imageEngineSuite(imagescriptEngine);

const crop = (bytes: Uint8Array) => sharpEngine.crop(bytes, probe(bytes));
const glass = draw(480, 400, (x) => [20, 40, 220, x < 240 ? 255 : 128]);

Deno.test("sharp crops WebP, of each orientation", async () => {
  for (let orientation = 1; orientation <= 8; orientation++) {
    const stored = paint(storedAs(cells(145, 96), orientation)).withMetadata({ orientation });
    const { full, format } = await crop(await stored.webp({ lossless: true }).toBuffer());
    assert.equal(format, "jpeg");
    await sameCells(full, 96);
  }
});

Deno.test("sharp crops the first frame of an animation", async () => {
  const frames = await Promise.all(
    [cells(120, 80), draw(120, 80, () => [0, 0, 0])].map((raw) => paint(raw).png().toBuffer()),
  );
  const moving = await sharp(frames, { join: { animated: true } }).webp({ lossless: true, delay: [50, 50] }).toBuffer();
  assert.equal((await sharp(moving).metadata()).pages, 2);
  await sameCells((await crop(moving)).full, 80);
});

Deno.test("sharp outputs WebP for transparency, without metadata", async () => {
  for (const bytes of [await paint(glass).png().toBuffer(), await paint(glass).withExif({}).webp().toBuffer()]) {
    const cropped = await crop(bytes);
    assert.deepEqual([cropped.format, cropped.side], ["webp", 400]);
    assert.deepEqual(cropped.variants.map(({ side }) => side), [320]);
    await bare(cropped);
    for (const { side, bytes } of [{ side: 400, bytes: cropped.full }, ...cropped.variants]) {
      const pixels = await pixelsOf(bytes);
      near(pixel(pixels, 8, 100), [20, 40, 220, 255], 8);
      near(pixel(pixels, side - 8, 100), [20, 40, 220, 128], 8);
    }
  }
});

Deno.test("sharp converts colours of a wider profile to sRGB", async () => {
  const bytes = await paint(draw(96, 64, () => [230, 30, 60])).withIccProfile("p3").jpeg({ quality: 100 }).toBuffer();
  const stored = await sharp(bytes, { ignoreIcc: true }).raw().toBuffer();
  assert.ok(Math.abs(stored[0]! - 230) > 8, "the profile does not change the colour");
  near(pixel(await pixelsOf((await crop(bytes)).full), 32, 32), [230, 30, 60], 6);
});

Deno.test("sharp rejects a file of a different kind than its header", async () => {
  const bytes = await paint(photo(60, 40)).jpeg().toBuffer();
  await refuses(sharpEngine.crop(bytes, { ...probe(bytes), format: "png" }));
});

Deno.test("sharp rejects a JPEG with missing pixels before its end", async () => {
  const bytes = await paint(photo(300, 300)).jpeg().toBuffer();
  const without = Buffer.concat([bytes.subarray(0, bytes.length / 2), Buffer.from([0xff, 0xd9])]);
  await refuses(sharpEngine.crop(without, probe(without)));
});

Deno.test("sharp accepts a file that lacks only its end marker", async () => {
  const picture = paint(cells(96, 160));
  const files = [
    ...await Promise.all(
      [false, true].map((progressive) => picture.clone().jpeg({ quality: 100, progressive }).toBuffer()),
    ),
    await picture.clone().png().toBuffer(),
  ];
  for (const file of files) {
    for (const missing of [1, 2]) await sameCells((await crop(file.subarray(0, -missing))).full, 96);
  }
  await sameCells((await crop(files[2]!.subarray(0, -12))).full, 96);
});

Deno.test("sharp accepts a JPEG with bytes between its segments", async () => {
  const file = await paint(cells(160, 96)).jpeg({ quality: 100 }).toBuffer();
  const at = 4 + file.readUInt16BE(4);
  const odd = Buffer.concat([file.subarray(0, at), Buffer.from([0, 0, 7]), file.subarray(at)]);
  await sameCells((await crop(odd)).full, 96);
});

Deno.test("sharp rejects a JPEG whose last rows are missing, even outside of the square", async () => {
  const bytes = await paint(photo(160, 240)).jpeg().toBuffer();
  for (const share of [0.92, 0.96, 0.985]) {
    const cut = bytes.subarray(0, Math.floor(bytes.length * share));
    await refuses(crop(cut));
  }
});

Deno.test("sharp has no decoder for other formats", async () => {
  const drawing = new TextEncoder().encode('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>');
  await assert.rejects(sharp(drawing).metadata(), /unsupported image format/);
});

Deno.test("imagescript puts transparency on white", async () => {
  const bytes = await paint(glass).png().toBuffer();
  const { full, format } = await imagescriptEngine.crop(bytes, probe(bytes));
  assert.equal(format, "jpeg");
  const pixels = await pixelsOf(full);
  near(pixel(pixels, 8, 100), [20, 40, 220], 8);
  near(pixel(pixels, 390, 100), [137, 147, 237], 8);
});

Deno.test("imagescript rejects WebP", async () => {
  const bytes = await paint(photo(60, 40)).webp().toBuffer();
  await refuses(imagescriptEngine.crop(bytes, probe(bytes)));
});

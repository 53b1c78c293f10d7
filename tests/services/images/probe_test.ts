import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import sharp from "sharp";
import { checkName, ImageProbe, ImageRefused, probe } from "../../../services/images/probe.ts";
import { cells, hugePng, paint, photo, pngChunk, resizedHeader } from "./pictures.ts";

type Rule = ImageRefused["rule"];

function refused(rule: Rule, call: () => unknown): void {
  assert.throws(call, (error) => error instanceof ImageRefused && error.rule === rule && error.message.length > 20);
}

const LARGE = photo(150, 90);
const jpeg = await paint(LARGE).withMetadata({ orientation: 6 }).jpeg().toBuffer();
const png = await paint(LARGE).withMetadata({ orientation: 3 }).png().toBuffer();
const lossy = await paint(LARGE).webp().toBuffer();
const lossless = await paint(LARGE).webp({ lossless: true }).toBuffer();
const extended = await paint(LARGE).withMetadata({ orientation: 8 }).webp().toBuffer();
const frames = await Promise.all([cells(40, 30), photo(40, 30)].map((raw) => paint(raw).png().toBuffer()));
const animated = await sharp(frames, { join: { animated: true } }).webp({ delay: [100, 100] }).toBuffer();
const PICTURES = { jpeg, png, lossy, lossless, extended, animated };

Deno.test("A probe finds kind, size and orientation of every kind of picture", () => {
  const of = { width: 150, height: 90, animated: false };
  assert.deepEqual(probe(jpeg), { ...of, format: "jpeg", orientation: 6 });
  assert.deepEqual(probe(png), { ...of, format: "png", orientation: 3 });
  assert.deepEqual(probe(lossy), { ...of, format: "webp", orientation: 1 });
  assert.deepEqual(probe(lossless), { ...of, format: "webp", orientation: 1 });
  assert.deepEqual(probe(extended), { ...of, format: "webp", orientation: 8 });
  assert.deepEqual(probe(animated), { format: "webp", width: 40, height: 30, orientation: 1, animated: true });
});

Deno.test("A probe recognises a progressive JPEG and an animated PNG", async () => {
  assert.equal(probe(await paint(LARGE).jpeg({ progressive: true }).toBuffer()).width, 150);
  const moving = Buffer.concat([png.subarray(0, 33), pngChunk("acTL", new Uint8Array(8)), png.subarray(33)]);
  assert.equal(probe(moving).animated, true);
});

Deno.test("A probe gives the same result for any chunks, as early as possible", () => {
  for (const bytes of Object.values(PICTURES)) {
    const expected = probe(bytes);
    for (const size of [1, 2, 7, 64, 1000]) {
      const pieces = new ImageProbe();
      for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.subarray(at, at + size));
      assert.deepEqual(pieces.finish(), expected);
    }
  }
  const early = new ImageProbe();
  early.push(jpeg.subarray(0, jpeg.length / 2));
  assert.deepEqual(early.result(), probe(jpeg));
});

Deno.test("A probe reads EXIF in either byte order, and ignores invalid data", () => {
  const intel = [0x49, 0x49, 42, 0, 8, 0, 0, 0, 1, 0, 0x12, 1, 3, 0, 1, 0, 0, 0, 7, 0, 0, 0];
  const motorola = [0x4d, 0x4d, 0, 42, 0, 0, 0, 8, 0, 1, 1, 0x12, 0, 3, 0, 0, 0, 1, 0, 7, 0, 0];
  const cases: [tiff: number[], orientation: number][] = [
    [intel, 7],
    [motorola, 7],
    [intel.with(18, 9), 1],
    [intel.with(18, 0), 1],
    [intel.with(4, 255), 1],
    [intel.with(7, 255), 1],
    [intel.with(8, 255).slice(0, 21), 1],
    [motorola.with(3, 43), 1],
    [[], 1],
  ];
  const bare = Buffer.from(jpeg.toString("latin1").replace("Exif", "Exit"), "latin1");
  for (const [tiff, orientation] of cases) {
    const segment = Buffer.from([0xff, 0xe1, 0, 8 + tiff.length, ...Buffer.from("Exif\0\0"), ...tiff]);
    const turned = Buffer.concat([bare.subarray(0, 2), segment, bare.subarray(2)]);
    assert.equal(probe(turned).orientation, orientation, JSON.stringify(tiff));
  }
});

Deno.test("A probe rejects files that are not pictures, and names unsupported kinds", () => {
  refused("no_image", () => probe(new Uint8Array()));
  refused("no_image", () => probe(Buffer.from("<!doctype html><html><body>Hello</body></html>")));
  refused("no_image", () => probe(Buffer.from("%PDF-1.7 and what follows of it")));
  refused("no_image", () => probe(Buffer.from("RIFF\x10\0\0\0WAVEfmt and so on and on", "latin1")));
  refused("format", () => probe(Buffer.from("GIF89a\x01\0\x01\0\0\0\0", "latin1")));
  refused("format", () => probe(Buffer.from("\0\0\0\x20ftypavif\0\0\0\0mif1miaf", "latin1")));
  refused("format", () => probe(Buffer.from("BM and then a good many more bytes")));
  assert.throws(() => probe(Buffer.from("GIF89a")), { message: "Expected a JPEG, PNG or WebP picture, got a GIF" });
});

Deno.test("A probe rejects too many pixels and zero pixels by the header alone", () => {
  refused("pixels", () => probe(hugePng(50_000, 50_000, { wholly: false })));
  refused("pixels", () => probe(resizedHeader(jpeg, 65_500, 65_500)));
  refused("pixels", () => probe(hugePng(50_000_001, 1, { wholly: false })));
  assert.equal(probe(hugePng(50_000_000, 1, { wholly: false })).width, 50_000_000);
  refused("no_image", () => probe(resizedHeader(jpeg, 100, 0)));
  refused("no_image", () => probe(hugePng(0, 10)));
  const bomb = new ImageProbe();
  refused("pixels", () => bomb.push(hugePng(50_000, 50_000, { wholly: false }).subarray(0, 33)));
  refused("pixels", () => bomb.push(new Uint8Array(10)));
  refused("pixels", () => bomb.finish());
  assert.equal(bomb.result(), undefined);
});

Deno.test("A probe rejects a JPEG with two sizes", () => {
  const frame = jpeg.indexOf(Buffer.from([0xff, 0xc0]));
  const second = jpeg.subarray(frame, frame + 2 + jpeg.readUInt16BE(frame + 2));
  refused("no_image", () => probe(Buffer.concat([jpeg.subarray(0, frame), second, jpeg.subarray(frame)])));
});

Deno.test("A probe of a file truncated or changed anywhere returns or rejects", () => {
  for (const bytes of Object.values(PICTURES)) {
    for (let end = 0; end <= Math.min(bytes.length, 1500); end++) judge(bytes.subarray(0, end));
    for (let i = 0; i < 3000; i++) {
      const changed = Buffer.from(bytes.subarray(0, 2000));
      for (let n = 0; n < 1 + i % 4; n++) changed[random(Math.min(changed.length, 1 + i))] = random(256);
      judge(changed);
    }
  }
});

Deno.test("A probe of garbage after a signature ends quickly", () => {
  const starts = ["", "\xff\xd8\xff", "\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "RIFF\xff\xff\xff\xffWEBPVP8X"];
  for (let i = 0; i < 4000; i++) {
    const rubbish = crypto.getRandomValues(new Uint8Array(random(600)));
    judge(Buffer.concat([Buffer.from(starts[i % starts.length]!, "latin1"), rubbish]));
  }
  const startedAt = performance.now();
  for (const start of starts) {
    for (const fill of [0x00, 0xff, 0xfe]) {
      const probe = new ImageProbe();
      judge(Buffer.from(start, "latin1"), probe);
      const chunk = new Uint8Array(1024 * 1024).fill(fill);
      for (let i = 0; i < 15; i++) judge(chunk, probe);
    }
  }
  assert.ok(performance.now() - startedAt < 10_000);
});

Deno.test("A probe gives up on an endless header", () => {
  const comments = Buffer.alloc(4 * 100_000, Buffer.from([0xff, 0xfe, 0, 2]));
  refused("no_image", () => new ImageProbe().push(Buffer.concat([jpeg.subarray(0, 2), comments])));
  new ImageProbe().push(Buffer.concat([jpeg.subarray(0, 2), comments.subarray(0, 4000), jpeg.subarray(2)]));
});

Deno.test("A picture's extension must match its content", () => {
  for (const name of ["a.jpg", "a.JPEG", "b/c.d.Jpg"]) checkName(name, "jpeg");
  checkName("a.png", "png");
  checkName("a.WebP", "webp");
  for (const name of ["a.png", "jpg", "a.jpg.exe", "a.gif", "a.", "", "a.jpg/b", "a.constructor", "a.jpg\0"]) {
    refused("extension", () => checkName(name, "jpeg"));
  }
  assert.throws(() => checkName("cat.png", "jpeg"), {
    message: 'Expected a png picture, as the name is "cat.png", got a jpeg',
  });
});

/** Throws for any error except a refusal. */
function judge(bytes: Uint8Array, probe = new ImageProbe()): void {
  try {
    probe.push(bytes);
    const { width, height, orientation } = probe.finish();
    assert.ok(width > 0 && height > 0 && width * height <= 50_000_000 && orientation >= 1 && orientation <= 8);
  } catch (error) {
    if (!(error instanceof ImageRefused)) throw error;
  }
}

function random(below: number): number {
  return Math.floor(Math.random() * below);
}

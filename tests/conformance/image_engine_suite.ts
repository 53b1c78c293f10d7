/** What every `ImageEngine` must do (`services/images/engine.ts`), except for formats it does not read. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import sharp from "sharp";
import type { CroppedPhoto, ImageEngine } from "../../services/images/engine.ts";
import { ImageRefused } from "../../services/images/picture.ts";
import { probe } from "../../services/images/probe.ts";
import {
  cell,
  cells,
  draw,
  paint,
  partsOf,
  photo,
  pixel,
  pixelsOf,
  pngChunk,
  type Raw,
  storedAs,
} from "../services/images/pictures.ts";

interface Cropper {
  engine: ImageEngine;
  crop(bytes: Uint8Array): Promise<CroppedPhoto>;
}
type ImageTest = (name: string, run: (cropper: Cropper) => Promise<void>) => void;

export function imageEngineSuite(engine: ImageEngine): void {
  const crop = (bytes: Uint8Array) => engine.crop(bytes, probe(bytes));
  const test: ImageTest = (name, run) => Deno.test(`${engine.name} ${name}`, () => run({ engine, crop }));

  squareTests(test);
  conversionTests(test);
  damagedFileTests(test);
  unusualFileTests(test);
  placeholderTests(test);
}

function squareTests(test: ImageTest): void {
  test("crops the square around the centre, to the pixel", async ({ crop }) => {
    const sizes = [[400, 200], [401, 200], [402, 200], [200, 401], [90, 250], [160, 160], [9, 8], [8, 9]];
    for (const [width, height] of sizes as [number, number][]) {
      const cropped = await crop(await png(cells(width, height)));
      assert.equal(cropped.side, Math.min(width, height));
      await sameCells(cropped.full, cropped.side);
    }
  });

  test("crops 400×200 to the pixels x = 100 to 299", async ({ crop }) => {
    const stripe = (x: number) => x >= 100 && x < 300 ? 200 : 0;
    const { full } = await crop(await png(draw(400, 200, (x) => [stripe(x), stripe(x), stripe(x)])));
    const { data } = await pixelsOf(full);
    assert.ok(data.every((value) => Math.abs(value - 200) <= 2));
    const beside = await crop(await png(draw(402, 200, (x) => [stripe(x), stripe(x), stripe(x)])));
    assert.ok(pixel(await pixelsOf(beside.full), 199, 100)[0]! < 100);
  });

  for (let orientation = 1; orientation <= 8; orientation++) {
    test(`applies orientation ${orientation} before it crops`, async ({ crop }) => {
      for (const [width, height] of [[145, 96], [96, 145]] as const) {
        const stored = paint(storedAs(cells(width, height), orientation)).withMetadata({ orientation });
        const { full } = await crop(await stored.jpeg({ quality: 100, chromaSubsampling: "4:4:4" }).toBuffer());
        await sameCells(full, 96);
        await sameCells((await crop(await stored.png().toBuffer())).full, 96);
      }
    });
  }

  test("creates the variants smaller than the square, without enlarging", async ({ crop }) => {
    for (const [side, variants] of [[300, []], [320, []], [321, [320]], [1080, [320]], [1081, [1080, 320]]] as const) {
      const cropped = await crop(await png(draw(side + 20, side, () => [10, 200, 90])));
      assert.equal(cropped.side, side);
      assert.deepEqual(cropped.variants.map((variant) => variant.side), variants);
      for (const { side, bytes } of [{ side: cropped.side, bytes: cropped.full }, ...cropped.variants]) {
        const pixels = await pixelsOf(bytes);
        assert.deepEqual([pixels.width, pixels.height, pixels.channels], [side, side, 3]);
        near(pixel(pixels, side - 1, side - 1), [10, 200, 90], 4);
      }
    }
  });

  test("crops a picture of a single pixel", async ({ crop }) => {
    const cropped = await crop(await png(draw(1, 1, () => [9, 99, 199])));
    assert.deepEqual([cropped.side, cropped.variants], [1, []]);
    near(pixel(await pixelsOf(cropped.full), 0, 0), [9, 99, 199], 6);
  });
}

function conversionTests(test: ImageTest): void {
  test("produces the same output for the same input", async ({ crop }) => {
    for (const bytes of [await paint(photo(700, 500)).jpeg().toBuffer(), await png(photo(500, 700))]) {
      assert.deepEqual(await crop(bytes), await crop(bytes));
    }
  });

  test("removes EXIF, ICC and XMP", async ({ crop }) => {
    const tagged = paint(photo(400, 360))
      .withExif({ IFD0: { Copyright: "nobody" }, IFD3: { GPSLatitude: "51/1 30/1 0/1" } })
      .withIccProfile("p3")
      .withXmp('<x:xmpmeta xmlns:x="adobe:ns:meta/"/>');
    const bytes = await tagged.jpeg().toBuffer();
    assert.deepEqual(partsOf(bytes).slice(0, 3), ["e1", "e1", "e2"]);
    await bare(await crop(bytes));
    await bare(await crop(await tagged.png().toBuffer()));
  });

  test("crops grey, palette, progressive and 16-bit pictures", async ({ crop }) => {
    const picture = paint(cells(200, 160));
    await sameCells((await crop(await picture.clone().greyscale().jpeg({ quality: 100 }).toBuffer())).full, 160);
    await sameCells((await crop(await picture.clone().jpeg({ quality: 100, progressive: true }).toBuffer())).full, 160);
    await sameCells((await crop(await picture.clone().png({ palette: true }).toBuffer())).full, 160, 12);
    const deep = await picture.clone().toColourspace("rgb16").png().toBuffer();
    assert.equal((await sharp(deep).metadata()).depth, "ushort");
    await sameCells((await crop(deep)).full, 160);
  });

  test("turns CMYK into RGB", async ({ engine, crop }) => {
    const bytes = await paint(draw(120, 80, () => [150, 110, 90])).toColourspace("cmyk").jpeg({ quality: 95 })
      .toBuffer();
    assert.equal((await sharp(bytes).metadata()).space, "cmyk");
    const pixels = await pixelsOf((await crop(bytes)).full);
    assert.equal(pixels.channels, 3);
    near(pixel(pixels, 40, 40), [150, 110, 90], engine.name === "sharp" ? 12 : 40);
  });

  test("converts a PNG with an opaque alpha channel to JPEG", async ({ crop }) => {
    const cropped = await crop(await png(draw(64, 48, () => [10, 20, 200, 255])));
    assert.equal(cropped.format, "jpeg");
    near(pixel(await pixelsOf(cropped.full), 20, 20), [10, 20, 200], 5);
  });
}

function damagedFileTests(test: ImageTest): void {
  test("rejects truncated files", async ({ engine }) => {
    const picture = paint(photo(160, 240));
    const files = [await picture.clone().jpeg().toBuffer(), await picture.clone().png().toBuffer()];
    files.push(await picture.clone().jpeg({ progressive: true }).toBuffer());
    if (engine.reads.includes("webp")) files.push(await picture.clone().webp().toBuffer());
    for (const file of files) {
      const whole = probe(file);
      for (const share of [0.1, 0.3, 0.5, 0.7, 0.9, 0.99]) {
        await refuses(engine.crop(file.subarray(0, Math.floor(file.length * share)), whole));
      }
    }
  });
}

function unusualFileTests(test: ImageTest): void {
  test("accepts a sequential JPEG whose scans have no range of coefficients", async ({ crop }) => {
    for (const picture of [paint(cells(160, 96)), paint(cells(160, 96)).greyscale()]) {
      const file = await picture.jpeg({ quality: 100, chromaSubsampling: "4:4:4" }).toBuffer();
      const scan = file.indexOf(Buffer.from([0xff, 0xda]));
      const end = scan + 2 + file.readUInt16BE(scan + 2);
      for (const range of [[0, 0, 0], [1, 63, 0], [0, 63, 0x11]]) {
        const odd = Buffer.from(file);
        odd.set(range, end - 3);
        assert.deepEqual(await crop(odd), await crop(file));
      }
    }
  });

  test("accepts unusual metadata, wrong checksums outside of pixels and fill bytes", async ({ crop }) => {
    const jpeg = await paint(cells(160, 96)).jpeg({ quality: 100 }).toBuffer();
    const segment = (marker: number, content: string) => {
      const data = Buffer.from(content, "latin1");
      const length = Buffer.from([0xff, marker, (data.length + 2) >> 8, (data.length + 2) & 0xff]);
      return Buffer.concat([jpeg.subarray(0, 2), length, data, jpeg.subarray(2)]);
    };
    const broken = Buffer.from(pngChunk("tEXt", Buffer.from("a\0b")));
    broken[broken.length - 1]! ^= 1;
    const png = await paint(cells(160, 96)).png().toBuffer();
    const withChunk = (chunk: Uint8Array) => Buffer.concat([png.subarray(0, 33), chunk, png.subarray(33)]);
    const files = {
      "EXIF with an invalid offset": segment(0xe1, "Exif\0\0MM\0*\xff\xff\xff\xff"),
      "an invalid ICC profile": segment(0xe2, "ICC_PROFILE\0\x01\x01 no profile"),
      "an empty comment": segment(0xfe, ""),
      "zeros before the end": Buffer.concat([jpeg.subarray(0, -2), Buffer.from([0, 0, 0, 0xff, 0xd9])]),
      "fill bytes before a marker": Buffer.concat([jpeg.subarray(0, 2), Buffer.from([0xff, 0xff]), jpeg.subarray(2)]),
      "two end markers": Buffer.concat([jpeg, Buffer.from([0xff, 0xd9])]),
      "a text chunk with a wrong checksum": withChunk(broken),
      "an invalid profile in a PNG": withChunk(pngChunk("iCCP", Buffer.from("x\0\0none"))),
      "a gamma of 0": withChunk(pngChunk("gAMA", new Uint8Array(4))),
    };
    for (const [what, file] of Object.entries(files)) {
      const { full } = await crop(file).catch((error) => assert.fail(`${what}: ${error}`));
      await sameCells(full, 96);
    }
  });

  test("rejects a picture's header followed by garbage", async ({ crop }) => {
    const file = await png(photo(100, 100));
    await refuses(crop(Buffer.from(file).fill(0x55, file.indexOf("IDAT") + 8, file.length - 12)));
  });

  test("ignores data hidden behind a picture", async ({ crop }) => {
    const zip = Buffer.from("PK\x03\x04 and an archive's content", "latin1");
    const page = Buffer.from("<script>alert('here')</script>");
    const jpeg = Buffer.concat([await paint(cells(96, 64)).jpeg({ quality: 100 }).toBuffer(), zip]);
    for (const file of [jpeg, Buffer.concat([await png(cells(96, 64)), page])]) {
      const { full } = await crop(file);
      await sameCells(full, 64);
      assert.ok(!Buffer.from(full).includes("PK\x03\x04") && !Buffer.from(full).includes("script"));
    }
  });
}

function placeholderTests(test: ImageTest): void {
  test("computes a BlurHash of the square", async ({ crop }) => {
    const half = await crop(await png(draw(96, 64, (x) => x < 48 ? [255, 0, 0] : [0, 0, 255])));
    assert.match(half.placeholder, /^[0-9A-Za-z#$%*+,\-.:;=?@[\]^_{|}~]{36}$/);
    const plain = await crop(await png(draw(96, 64, () => [255, 0, 0])));
    assert.notEqual(plain.placeholder, half.placeholder);
  });
}

function png(raw: Raw): Promise<Buffer> {
  return paint(raw).png().toBuffer();
}

export async function refuses(cropping: Promise<CroppedPhoto>): Promise<void> {
  await assert.rejects(cropping, (error) => error instanceof ImageRefused && error.rule === "no_image");
}

export function near(actual: number[], expected: number[], tolerance: number): void {
  const close = actual.length === expected.length && actual.every((v, i) => Math.abs(v - expected[i]!) <= tolerance);
  assert.ok(close, `Expected about ${expected}, got ${actual}`);
}

/** Checks that every pixel belongs to its cell. */
export async function sameCells(bytes: Uint8Array, side: number, tolerance = 8): Promise<void> {
  const pixels = await pixelsOf(bytes);
  assert.deepEqual([pixels.width, pixels.height], [side, side]);
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      const expected = cell(Math.floor(x / 8), Math.floor(y / 8));
      const actual = pixel(pixels, x, y)[0]!;
      assert.ok(Math.abs(actual - expected) <= tolerance, `Expected ${expected} at ${x},${y}, got ${actual}`);
    }
  }
}

export async function bare({ format, full, variants }: CroppedPhoto): Promise<void> {
  for (const bytes of [full, ...variants.map((variant) => variant.bytes)]) {
    const allowed = format === "jpeg" ? ["e0", "db", "c0", "c4"] : ["VP8X", "ALPH", "VP8 ", "VP8L"];
    assert.deepEqual(partsOf(bytes).filter((part) => !allowed.includes(part)), []);
    const { exif, icc, xmp, iptc, orientation, space } = await sharp(bytes).metadata();
    assert.deepEqual([exif, icc, xmp, iptc, orientation, space], [...Array(5).fill(undefined), "srgb"]);
  }
}

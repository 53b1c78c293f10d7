import sharp from "sharp";
import { ratioRow, repeating, type Row, run, say, signIn, startInstallation, wrk } from "./harness.ts";
import { fillWorld } from "./world.ts";
import { sleep } from "../lib/sleep.ts";

const CORES = navigator.hardwareConcurrency;
const UPLOADERS = 2 * CORES;
/** Photos cropped at once during reads of the feed. */
const CROPS = 10;
const READERS = 64;
/** Twelve megapixels. */
const [WIDTH, HEIGHT] = [4_000, 3_000];

/**
 * A 12-megapixel JPEG from upload to the ready photo, by two people per core, compared with the same engine in a loop,
 * alone and on each core. Also the effect of ten concurrent crops on readers of the feed.
 */
export async function benchPhotos({ seconds }: { seconds: number }): Promise<Row[]> {
  const file = await Deno.makeTempFile({ suffix: ".jpg" });
  const picture = await photograph();
  await Deno.writeFile(file, picture);
  const loop = { what: "sharp in a loop", perSecond: await alone(file, 1, seconds) };
  const loops = { what: "sharp in a loop on each core", perSecond: await alone(file, CORES, seconds) };
  const rows = [
    ...await uploads("sharp", picture, seconds, [{ ...loop, target: "≥ 0.8 ×" }, { ...loops, target: "–" }]),
    ...await uploads("imagescript", picture, seconds, [{ ...loop, target: "–" }]),
    await feedBeside(picture, seconds),
  ];
  await Deno.remove(file);
  return rows;
}

/** Like a photograph: large shapes, fine grain. */
async function photograph(): Promise<Uint8Array> {
  const pixels = new Uint8Array(WIDTH * HEIGHT * 3);
  let seed = 1;
  for (let y = 0, i = 0; y < HEIGHT; y++) {
    for (let x = 0; x < WIDTH; x++) {
      seed = Math.imul(seed, 1_664_525) + 1_013_904_223 | 0;
      const grain = (seed >>> 24) / 16;
      pixels[i++] = 120 + 90 * Math.sin(x / 190) + grain;
      pixels[i++] = 110 + 80 * Math.sin((x + y) / 260) + grain;
      pixels[i++] = 100 + 90 * Math.cos(y / 150) + grain;
    }
  }
  return new Uint8Array(
    await sharp(pixels, { raw: { width: WIDTH, height: HEIGHT, channels: 3 } }).jpeg({ quality: 90 }).toBuffer(),
  );
}

async function alone(file: string, concurrency: number, seconds: number): Promise<number> {
  const output = await run([
    "deno",
    "run",
    "-A",
    "bench/photos_reference.ts",
    file,
    String(concurrency),
    String(seconds),
  ]);
  return Number(output.trim().split("\n").at(-1));
}

async function uploads(
  engine: string,
  picture: Uint8Array,
  seconds: number,
  references: { what: string; perSecond: number; target: string }[],
): Promise<Row[]> {
  await using installation = await startInstallation(
    (sql) => fillWorld(sql, { people: 100, posts: 100, follows: 5, readers: UPLOADERS }),
    { IMAGE_ENGINE: engine },
  );
  const people = await authors(installation.url, await signIn(installation.url, UPLOADERS));
  for (const person of people) await upload(installation.url, person, picture);
  const times: number[] = [];
  const start = performance.now();
  const end = start + seconds * 1_000;
  await Promise.all(people.map(async (person) => {
    while (performance.now() < end) {
      const begun = performance.now();
      await upload(installation.url, person, picture);
      times.push(performance.now() - begun);
    }
  }));
  const perSecond = times.length / ((performance.now() - start) / 1_000);
  times.sort((a, b) => a - b);
  say(`  ${engine}: p95 ${Math.round(times[Math.floor(times.length * 0.95)]!)} ms of ${times.length} photos`);
  return references.map((reference) => ({
    what: `12-megapixel JPEG to ready photo, ${engine}, ${UPLOADERS} at once`,
    ours: `${perSecond.toFixed(2)} photos/s`,
    reference: `${reference.perSecond.toFixed(2)} photos/s: ${reference.what}`,
    ratio: `${(perSecond / reference.perSecond).toFixed(2)} ×`,
    target: reference.target,
  }));
}

/** The p99 of the feed during ten concurrent crops, twice, compared with the p99 without them. */
async function feedBeside(picture: Uint8Array, seconds: number): Promise<Row> {
  await using installation = await startInstallation((sql) =>
    fillWorld(sql, { people: 1_000, posts: 20_000, follows: 20, readers: READERS })
  );
  const { url } = installation;
  const tokens = await signIn(url, READERS);
  const people = await authors(url, tokens.slice(0, CROPS));
  const script = repeating(tokens.map((token) => ({ method: "GET", path: "/api/v1/feed", token })));
  for (const person of people.slice(0, CORES)) await upload(url, person, picture);
  await wrk(url, { connections: 16, seconds: 2, script });
  const quiet = await wrk(url, { connections: 16, seconds, script });
  let more = true;
  const cropping = Promise.all(people.map(async (person) => {
    while (more) await upload(url, person, picture);
  }));
  const beside = await wrk(url, { connections: 16, seconds, script });
  more = false;
  await cropping;
  return {
    ...ratioRow("p99 of GET /feed, 16 clients, beside ten crops at once", beside.p99Ms, quiet.p99Ms, 2, "ms"),
    ours: `${beside.p99Ms.toFixed(1)} ms`,
    reference: `${quiet.p99Ms.toFixed(1)} ms without`,
    target: "≤ 2 ×",
  };
}

interface Author {
  token: string;
  page: string;
}

async function authors(url: string, tokens: string[]): Promise<Author[]> {
  return await Promise.all(tokens.map(async (token) => {
    const answer = await fetch(`${url}/api/v1/users/me`, { headers: { authorization: `Bearer ${token}` } });
    return { token, page: (await answer.json() as { page_id: string }).page_id };
  }));
}

/** Throws if the photo is not ready in the end. */
async function upload(url: string, { token, page }: Author, picture: Uint8Array): Promise<void> {
  const headers = { authorization: `Bearer ${token}` };
  const body = new FormData();
  body.append("photos", new Blob([picture as BlobPart]), "photograph.jpg");
  const answer = await fetch(`${url}/api/v1/pages/${page}/posts`, { method: "POST", headers, body });
  let post = await answer.json() as { id: string; state: string };
  if (!answer.ok) throw new Error(`An upload was refused with ${answer.status}: ${JSON.stringify(post)}`);
  while (post.state === "processing") {
    await sleep(20);
    post = await (await fetch(`${url}/api/v1/posts/${post.id}`, { headers })).json();
  }
  if (post.state !== "ready") throw new Error(`A photo has failed: ${JSON.stringify(post)}`);
}

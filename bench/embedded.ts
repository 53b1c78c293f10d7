/**
 * Measures the embedded default: memory, start time, durable posts, and the effect of long key–value reads on other
 * requests. With the folder of another checkout, both run alternately.
 */
import { childrenOf } from "../tests/support/processes.ts";
import { mean, PASSWORD, repeating, type Row, run, say, wrk } from "./harness.ts";
import { sleep } from "../lib/sleep.ts";

const HERE = new URL("../", import.meta.url).pathname;
const STARTS = 5;
const ROUNDS = 3;
const PEOPLE = 16;
const KEYS = 10_000;
/** Interval between posts of a client whose latency is measured. */
const PACE_MS = 25;
const IDLE_MS = 5_000;
const TEXT = "A post of the usual length, as a person might write it about their day";
const MIB = 1024 * 1024;

interface Node extends AsyncDisposable {
  url: string;
  pid: number;
  /** Since the start of the process. */
  readyMs: number;
}

interface Author {
  page: string;
  token: string;
}

interface Figures {
  emptyMs: number[];
  againMs: number[];
  idleBytes: number[];
  postsPerSecond: number[];
  /** Maximum latency of a post, alone and during the reads. */
  aloneMs: number[];
  besideMs: number[];
  readsPerSecond: number[];
}

/** `against` is the folder of another checkout. */
export async function benchEmbedded(
  { seconds, against }: { seconds: number; against: string | undefined },
): Promise<Row[]> {
  const sides = [HERE, ...against === undefined ? [] : [against]].map((folder) => ({ folder, figures: noFigures() }));
  // Excludes the compilation and downloads of a first start.
  for (const { folder } of sides) await startedTwice(folder);
  for (let i = 0; i < STARTS; i++) {
    for (const { folder, figures } of sides) {
      const { emptyMs, againMs } = await startedTwice(folder);
      figures.emptyMs.push(emptyMs);
      figures.againMs.push(againMs);
    }
  }
  for (let round = 0; round < ROUNDS; round++) {
    for (const { folder, figures } of sides) await loaded(folder, Math.ceil(seconds / ROUNDS), figures);
  }
  for (const { folder, figures } of sides) sayFigures(folder === HERE ? "this one" : "the other", figures);
  return rowsOf(sides[0]!.figures, sides[1]?.figures);
}

async function startedTwice(folder: string): Promise<{ emptyMs: number; againMs: number }> {
  const dataDir = await Deno.makeTempDir({ prefix: "rookery-bench-" });
  try {
    const times: number[] = [];
    for (let i = 0; i < 2; i++) {
      await using node = await start(folder, dataDir);
      times.push(node.readyMs);
    }
    return { emptyMs: times[0]!, againMs: times[1]! };
  } finally {
    await Deno.remove(dataDir, { recursive: true });
  }
}

async function loaded(folder: string, seconds: number, figures: Figures): Promise<void> {
  const dataDir = await Deno.makeTempDir({ prefix: "rookery-bench-" });
  try {
    await using node = await start(folder, dataDir);
    await sleep(IDLE_MS);
    figures.idleBytes.push(await memoryOfAll(node.pid));
    const authors = await makeAuthors(node.url);
    const posts = postsOf(authors);
    // Warm-up of the compiler.
    await wrk(node.url, { connections: PEOPLE, seconds: 5, script: posts });
    await run(["sync"]);
    figures.postsPerSecond.push((await wrk(node.url, { connections: PEOPLE, seconds, script: posts })).perSecond);
    await fillPairs(node.url, authors[0]!);
    const paced = `${postsOf(authors.slice(1))}\nfunction delay() return ${PACE_MS} end`;
    const reads = readsOf(authors[0]!);
    await wrk(node.url, { connections: 1, seconds: 1, script: reads });
    const load = { connections: 4, seconds, script: paced };
    await run(["sync"]);
    figures.aloneMs.push((await wrk(node.url, load)).maxMs);
    const [beside, read] = await Promise.all([
      wrk(node.url, load),
      wrk(node.url, { connections: 2, seconds, script: reads }),
    ]);
    figures.besideMs.push(beside.maxMs);
    figures.readsPerSecond.push(read.perSecond);
  } finally {
    await Deno.remove(dataDir, { recursive: true });
  }
}

/** Starts a checkout's installation in a data folder, as `deno task start` does. */
async function start(folder: string, dataDir: string): Promise<Node> {
  const began = performance.now();
  const process = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "main.ts"],
    cwd: folder,
    clearEnv: true,
    env: {
      ...Object.fromEntries(["PATH", "HOME", "DENO_DIR", "TMPDIR"].flatMap((name) => {
        const value = Deno.env.get(name);
        return value === undefined ? [] : [[name, value]];
      })),
      DATA_DIR: dataDir,
      PORT: "0",
      RATE_LIMITS: "off",
      ADMIN_PASSWORD: PASSWORD,
      REQUIRE_VERIFIED_EMAIL: "false",
      LOG_LEVEL: "warn",
    },
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const reader = process.stdout.pipeThrough(new TextDecoderStream()).getReader();
  for (let text = "";;) {
    const { value, done } = await reader.read();
    if (done) throw new Error(`The node of "${folder}" ended before it was ready: ${text}`);
    text += value;
    const url = /^Rookery.* ready at (\S+)/m.exec(text)?.[1];
    if (!url) continue;
    const readyMs = performance.now() - began;
    return {
      url,
      pid: process.pid,
      readyMs,
      async [Symbol.asyncDispose]() {
        process.kill("SIGTERM");
        while (!(await reader.read()).done);
        await process.status;
      },
    };
  }
}

/** Memory of a process and its children. Shared memory is counted once (PSS). */
async function memoryOfAll(pid: number): Promise<number> {
  let kilobytes = 0;
  for (const each of [pid, ...(await childrenOf(pid)).map((child) => child.pid)]) {
    const text = await Deno.readTextFile(`/proc/${each}/smaps_rollup`).catch(() => "");
    kilobytes += Number(/^Pss:\s+(\d+) kB/m.exec(text)?.[1] ?? 0);
  }
  return kilobytes * 1024;
}

async function makeAuthors(url: string): Promise<Author[]> {
  const authors: Author[] = [];
  for (let i = 0; i < PEOPLE; i++) {
    const login = `bench${i}`;
    await call(url, "/users", {
      ...{ login, password: PASSWORD, first_name: "Bench", last_name: "Person" },
      email: `${login}@example.org`,
    });
    const { access_token: token } = await call(url, "/security/login", { login, password: PASSWORD });
    const me = await fetch(`${url}/api/v1/users/me`, { headers: { authorization: `Bearer ${token}` } });
    authors.push({ token: token!, page: (await me.json()).page_id });
  }
  return authors;
}

async function fillPairs(url: string, { token }: Author): Promise<void> {
  for (let at = 0; at < KEYS; at += 1_000) {
    const pairs = Array.from({ length: 1_000 }, (_, i) => [`key ${at + i}`, { id: at + i, text: TEXT }]);
    await call(url, "/kv/write", { data: Object.fromEntries(pairs) }, token);
  }
}

async function call(url: string, path: string, body: unknown, token?: string): Promise<Record<string, string>> {
  const response = await fetch(`${url}/api/v1${path}`, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      ...token === undefined ? {} : { authorization: `Bearer ${token}` },
    },
    body: JSON.stringify(body),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`POST ${path}: ${response.status} ${text.slice(0, 300)}`);
  return text === "" ? {} : JSON.parse(text);
}

function postsOf(authors: readonly Author[]): string {
  const json = JSON.stringify({ text: TEXT });
  return repeating(
    authors.map(({ page, token }) => ({ method: "POST", path: `/api/v1/pages/${page}/posts`, token, json })),
  );
}

function readsOf({ token }: Author): string {
  const json = JSON.stringify({ keys: Array.from({ length: KEYS }, (_, i) => `key ${i}`) });
  return repeating([{ method: "POST", path: "/api/v1/kv/read", token, json }]);
}

function noFigures(): Figures {
  return {
    emptyMs: [],
    againMs: [],
    idleBytes: [],
    postsPerSecond: [],
    aloneMs: [],
    besideMs: [],
    readsPerSecond: [],
  };
}

function sayFigures(side: string, figures: Figures): void {
  const shown = (numbers: number[], by = 1) => numbers.map((number) => (number / by).toFixed(0)).join(", ");
  say(`  ${side}: ready on an empty folder after ${shown(figures.emptyMs)} ms, then ${shown(figures.againMs)} ms`);
  say(`    idle ${shown(figures.idleBytes, MIB)} MB; ${shown(figures.postsPerSecond)} posts/s`);
  say(`    longest delay of a post ${shown(figures.aloneMs)} ms, beside reads ${shown(figures.besideMs)} ms`);
  say(`    reads of ${KEYS} keys: ${figures.readsPerSecond.map((rate) => rate.toFixed(1)).join(", ")}/s`);
}

function rowsOf(ours: Figures, theirs: Figures | undefined): Row[] {
  const row = (
    what: string,
    value: (figures: Figures) => number,
    [shown, target]: [(value: number) => string, string],
  ): Row => ({
    what,
    ours: shown(value(ours)),
    reference: theirs ? shown(value(theirs)) : "–",
    ratio: theirs ? `${(value(ours) / value(theirs)).toFixed(2)} ×` : "–",
    target,
  });
  const seconds = (ms: number) => `${(ms / 1000).toFixed(2)} s`;
  const milliseconds = (ms: number) => `${Math.round(ms)} ms`;
  return [
    row("embedded: memory of all processes, idle (PSS)", ({ idleBytes }) => mean(idleBytes), [
      (bytes) => `${Math.round(bytes / MIB)} MB`,
      "≤ 450 MB",
    ]),
    row("embedded: ready on an empty folder", ({ emptyMs }) => median(emptyMs), [seconds, "≤ 2.5 s"]),
    row("embedded: ready afterwards", ({ againMs }) => median(againMs), [seconds, "≤ 1.5 s"]),
    row(`embedded: durable posts, ${PEOPLE} clients`, ({ postsPerSecond }) => mean(postsPerSecond), [
      (rate) => `${Math.round(rate).toLocaleString("en")} posts/s`,
      "≥ 1.4 ×",
    ]),
    row("embedded: longest delay of a post", ({ aloneMs }) => Math.max(...aloneMs), [milliseconds, "–"]),
    row(`… beside reads of ${KEYS.toLocaleString("en")} pairs`, ({ besideMs }) => Math.max(...besideMs), [
      milliseconds,
      "≤ 100 ms more",
    ]),
  ];
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[numbers.length >> 1]!;
}

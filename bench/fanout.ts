import { TEST_LOCK } from "../tests/support/servers.ts";
import { type Installation, memoryOf, ratioRow, type Row, say, signIn, startInstallation } from "./harness.ts";
import { fillWorld, idOf } from "./world.ts";
import { sleep } from "../lib/sleep.ts";

const SOCKETS_PER_PERSON = 16;
const BURSTS = 20;
const TEXT = "x".repeat(300);

interface Burst {
  first: number;
  p99: number;
  last: number;
}

interface Outcome {
  perSecond: number;
  p99Ms: number;
}

/**
 * (d) One post to many live listeners, compared with a bare `ws` server that sends the same bytes; (e) the cost of a
 * socket.
 */
export async function benchFanout(counts: number[]): Promise<Row[]> {
  const most = Math.max(...counts);
  const people = Math.ceil(most / SOCKETS_PER_PERSON) + 1;
  await using installation = await startInstallation(async (sql) => {
    await fillWorld(sql, { people, posts: 1_000, follows: 1, readers: 1 });
    await sql.execute(
      `insert into follows (page_id, user_id, state, created_at)
      select ${idOf("page", "1")}, ${
        idOf("user", "n")
      }, 'following', now() from generate_series(2, $1::int) n on conflict do nothing`,
      [people],
    );
  });
  const [author, ...listeners] = await signIn(installation.url, people);
  const rows: Row[] = [];
  for (const count of counts) {
    const sockets = Array.from(
      { length: count },
      (_, i) => ({ path: "/api/v1/feed/live", token: listeners[Math.floor(i / SOCKETS_PER_PERSON)]! }),
    );
    const before = await memoryOf(installation.pid);
    const { outcome: ours, frame } = await oursWith(installation, author!, sockets);
    const after = await memoryOf(installation.pid);
    const reference = await referenceWith(count, frame);
    say(
      `  ${count} listeners: p99 ${ours.p99Ms.toFixed(0)} ms after the POST began, bare ws ${
        reference.p99Ms.toFixed(0)
      } ms`,
    );
    rows.push(
      ratioRow(`one post to ${count} live listeners`, ours.perSecond, reference.perSecond, 0.7, "deliveries/s"),
    );
    if (count === most) {
      const each = (after - before) / count / 1024;
      rows.push({
        what: "memory of an open socket, after 20 posts",
        ours: `${each.toFixed(1)} KB`,
        reference: "–",
        ratio: "–",
        target: "≤ 40 KB",
      });
    }
  }
  return rows;
}

async function oursWith({ url }: Installation, token: string, sockets: { path: string; token: string }[]) {
  const { hostname, port } = new URL(url);
  await using client = await Client.start({ host: hostname, port: Number(port), sockets });
  let frame = "";
  const outcome = await client.measure(sockets.length, async () => {
    const response = await fetch(`${url}/api/v1/pages/bench1/posts`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${token}` },
      body: JSON.stringify({ text: TEXT }),
    });
    const { liked: _, ...post } = await response.json() as Record<string, unknown>;
    frame = JSON.stringify({ type: "post.created", id: "1000", cursor: "x".repeat(56), data: post });
  });
  return { outcome, frame };
}

async function referenceWith(count: number, frame: string): Promise<Outcome> {
  const process = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", TEST_LOCK, new URL("fanout_reference.ts", import.meta.url).pathname],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const lines = readLines(process.stdout);
  const port = Number((await lines.next()).value);
  const writer = process.stdin.getWriter();
  try {
    await using client = await Client.start({
      host: "127.0.0.1",
      port,
      sockets: Array.from({ length: count }, () => ({ path: "/" })),
    });
    return await client.measure(count, () => writer.write(new TextEncoder().encode(`${frame}\n`)));
  } finally {
    await writer.close();
    await process.status;
  }
}

/** The process of the listeners. */
class Client implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #lines: AsyncGenerator<string>;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;

  private constructor() {
    this.#process = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", new URL("fanout_client.ts", import.meta.url).pathname],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    this.#lines = readLines(this.#process.stdout);
    this.#writer = this.#process.stdin.getWriter();
  }

  static async start(target: unknown): Promise<Client> {
    const client = new Client();
    await client.#say(JSON.stringify(target));
    await client.#lines.next();
    // Greetings and the first reads of each listener's pages are not measured.
    await sleep(3_000);
    return client;
  }

  /** Bursts in sequence, each after the previous one was delivered. The first is not counted. */
  async measure(count: number, send: () => Promise<unknown>): Promise<Outcome> {
    let seconds = 0;
    const latencies: number[] = [];
    for (let i = 0; i <= BURSTS; i++) {
      await this.#say(`expect ${count}`);
      await this.#lines.next();
      const begin = performance.timeOrigin + performance.now();
      await send();
      const burst = JSON.parse((await this.#lines.next()).value as string) as Burst;
      if (i === 0) continue;
      seconds += (burst.last - begin) / 1000;
      latencies.push(burst.p99 - begin);
    }
    latencies.sort((a, b) => a - b);
    return { perSecond: (count * BURSTS) / seconds, p99Ms: latencies[Math.floor(BURSTS / 2)]! };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writer.close();
    await this.#process.status;
  }

  #say(line: string): Promise<void> {
    return this.#writer.write(new TextEncoder().encode(`${line}\n`));
  }
}

async function* readLines(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  let text = "";
  for await (const chunk of stream.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n")) {
      yield text.slice(0, end);
      text = text.slice(end + 1);
    }
  }
}

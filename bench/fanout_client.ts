/**
 * Holds many WebSockets over raw TCP at a low cost. Standard input: a line of JSON `{host, port, sockets: [{path,
 * token?}]}`, then a line `expect N` per burst. Standard output: `ready`, then per burst a line of JSON with the
 * arrival times (fractional Unix milliseconds) of the first, the 99th percentile and the last frame.
 */
import { connect, type Socket } from "node:net";
import { randomBytes } from "node:crypto";
import process from "node:process";

const lines = readLines();
const { host, port, sockets } = JSON.parse((await lines.next()).value as string) as {
  host: string;
  port: number;
  sockets: { path: string; token?: string }[];
};

let arrivals: number[] = [];
let wanted = Infinity;
let complete: () => void = () => {};

for (let i = 0; i < sockets.length; i += 64) await Promise.all(sockets.slice(i, i + 64).map(open));
process.stdout.write("ready\n");

for await (const line of lines) {
  const count = Number(line.split(" ")[1]);
  arrivals = [];
  wanted = count;
  const done = new Promise<void>((resolve) => complete = resolve);
  process.stdout.write("expecting\n");
  await done;
  arrivals.sort((a, b) => a - b);
  process.stdout.write(
    JSON.stringify({ first: arrivals[0], p99: arrivals[Math.ceil(count * 0.99) - 1], last: arrivals[count - 1] }) +
      "\n",
  );
}
process.exit(0);

function open({ path, token }: { path: string; token?: string }): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, host);
    socket.setNoDelay(true);
    let opened = false;
    let rest = new Uint8Array(0);
    socket.on("error", reject);
    socket.on("connect", () => {
      const authorization = token ? `Authorization: Bearer ${token}\r\n` : "";
      socket.write(
        `GET ${path} HTTP/1.1\r\nHost: ${host}:${port}\r\n` +
          "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
          `${authorization}Sec-WebSocket-Key: ${randomBytes(16).toString("base64")}\r\n\r\n`,
      );
    });
    socket.on("data", (chunk: Uint8Array) => {
      let data = rest.length > 0 ? join(rest, chunk) : chunk;
      if (!opened) {
        const end = headEnd(data);
        if (end < 0) return void (rest = data.slice());
        if (!new TextDecoder().decode(data.subarray(0, 12)).includes("101")) return reject(new Error("not upgraded"));
        opened = true;
        data = data.subarray(end);
        resolve(socket);
      }
      rest = takeFrames(data);
    });
  });
}

/** Counts complete text frames and returns the rest. Server frames are not masked (RFC 6455 §5.1). */
function takeFrames(data: Uint8Array): Uint8Array<ArrayBuffer> {
  let at = 0;
  while (at + 2 <= data.length) {
    let length = data[at + 1]! & 0x7f;
    let head = 2;
    if (length === 126) {
      if (at + 4 > data.length) break;
      length = (data[at + 2]! << 8) | data[at + 3]!;
      head = 4;
    }
    if (at + head + length > data.length) break;
    // `hello` frames arrive before a burst is expected, and they are short.
    if ((data[at]! & 0x0f) === 1 && length > 300) arrived();
    at += head + length;
  }
  return data.slice(at) as Uint8Array<ArrayBuffer>;
}

function arrived(): void {
  arrivals.push(performance.timeOrigin + performance.now());
  if (arrivals.length === wanted) complete();
}

function headEnd(data: Uint8Array): number {
  for (let i = 3; i < data.length; i++) {
    if (data[i] === 10 && data[i - 1] === 13 && data[i - 2] === 10 && data[i - 3] === 13) return i + 1;
  }
  return -1;
}

function join(a: Uint8Array, b: Uint8Array): Uint8Array<ArrayBuffer> {
  const joined = new Uint8Array(a.length + b.length);
  joined.set(a);
  joined.set(b, a.length);
  return joined;
}

async function* readLines(): AsyncGenerator<string> {
  let text = "";
  for await (const chunk of process.stdin) {
    text += chunk;
    for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n")) {
      yield text.slice(0, end);
      text = text.slice(end + 1);
    }
  }
}

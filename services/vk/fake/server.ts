import { Buffer } from "node:buffer";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { control } from "./control.ts";
import { type FakeRequest, type Reaction, VkFake } from "./fake.ts";
import { sleep } from "../../../lib/sleep.ts";

export interface FakeServer extends AsyncDisposable {
  url: string;
  port: number;
  fake: VkFake;
}

const MAX_BODY_BYTES = 1024 * 1024;
const JSON_TYPE = "application/json; charset=utf-8";

/**
 * VK over HTTP at 127.0.0.1: `/method/<name>` like VK, and `/fake/…` to control it. It uses `node:http`, because a
 * fault must be able to reset a connection.
 */
export async function startFakeServer({ port = 0 } = {}): Promise<FakeServer> {
  const fake = new VkFake();
  const server = createServer((request, response) => {
    serve(fake, request, response).catch(() => request.socket.destroy());
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", () => resolve());
  });
  const address = server.address();
  const taken = typeof address === "object" && address ? address.port : port;
  return {
    fake,
    port: taken,
    url: `http://127.0.0.1:${taken}`,
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

async function serve(fake: VkFake, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? "/", "http://127.0.0.1");
  const body = await read(request);
  if (url.pathname.startsWith("/fake")) {
    const { status, value } = control(fake, request.method ?? "GET", url.pathname, body.toString());
    return send(response, status, JSON_TYPE, JSON.stringify(value, null, 2));
  }
  const method = /^\/method\/([\w.]+)$/.exec(url.pathname)?.[1];
  if (method === undefined) return send(response, 404, "text/html", "<html><body>404 Not Found</body></html>");
  if (request.method !== "GET" && request.method !== "POST") {
    const error = { error_code: 9999, error_msg: "Unsupported HTTP method", request_params: [] };
    return send(response, fake.switches.error_status, JSON_TYPE, JSON.stringify({ error }));
  }
  await react(fake.react(await readRequest(request, method, url, body)), request, response);
}

async function readRequest(
  request: IncomingMessage,
  method: string,
  url: URL,
  body: Buffer,
): Promise<FakeRequest> {
  const form = await formOf(request.headers["content-type"] ?? "", body);
  const inHeader = /^bearer +(\S+)$/i.exec(request.headers.authorization ?? "")?.[1];
  const places = { header: inHeader, query: url.searchParams.get("access_token"), body: form.get("access_token") };
  const given = Object.entries(places).filter(([, token]) => token);
  return {
    http: request.method ?? "GET",
    method,
    params: new Map([...url.searchParams, ...form]),
    token: given[0]?.[1] ?? undefined,
    tokenFrom: given.map(([place]) => place).join("+"),
  };
}

/** Forms only: VK ignores JSON. */
async function formOf(type: string, body: Buffer): Promise<Map<string, string>> {
  if (/^application\/x-www-form-urlencoded/i.test(type)) return new Map(new URLSearchParams(body.toString()));
  if (!/^multipart\/form-data/i.test(type)) return new Map();
  const form = await new Response(new Uint8Array(body), { headers: { "content-type": type } }).formData();
  return new Map([...form].filter((entry): entry is [string, string] => typeof entry[1] === "string"));
}

async function react({ status, body, fault }: Reaction, request: IncomingMessage, response: ServerResponse) {
  switch (fault?.kind) {
    case "latency":
      await sleep(fault.ms);
      return send(response, status, JSON_TYPE, body);
    case "html":
      return send(response, fault.status, "text/html", "<html><body>Bad Gateway</body></html>");
    case "reset":
      return void request.socket.destroy();
    case "broken-off":
      begin(response, body);
      return void setTimeout(() => request.socket.destroy(), 20);
    case "slow-body":
      return begin(response, body);
    case "no-answer":
      return;
    case "truncated":
      return send(response, 200, JSON_TYPE, body.slice(0, body.length / 2));
    case "no-response":
      return send(response, 200, JSON_TYPE, "{}");
    default:
      return send(response, status, JSON_TYPE, body);
  }
}

/** Half of a body whose length was announced. */
function begin(response: ServerResponse, body: string): void {
  const bytes = Buffer.from(body);
  response.writeHead(200, { "content-type": JSON_TYPE, "content-length": bytes.length });
  response.write(bytes.subarray(0, bytes.length / 2));
}

function send(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, { "content-type": type, "content-length": Buffer.byteLength(body) });
  response.end(body);
}

async function read(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES) throw new Error("The body is too long");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

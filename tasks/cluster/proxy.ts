/** A small reverse proxy for nodes on this machine: HTTP and WebSocket, round robin. */
import { createServer, type IncomingMessage, request as sendRequest, type ServerResponse } from "node:http";
import { connect, type Socket } from "node:net";
import type { Duplex } from "node:stream";

export interface Upstream {
  port: number;
  /** It refused a connection. */
  refused(): void;
}

export interface Proxy extends AsyncDisposable {
  port: number;
}

type Header = [name: string, value: string];

/** Hop-by-hop headers (RFC 9110 §7.6.1), and headers that callers may not set. */
const DROPPED = new Set(["connection", "keep-alive", "proxy-connection", "te", "upgrade", "expect"]);
const REPLACED = new Set(["forwarded", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"]);

/**
 * Listens until it is disposed of. `order` lists the nodes to try. Only a refused connection leads to the next one: a
 * node that accepted a request may have acted on it.
 */
export async function startProxy(hostname: string, port: number, order: () => readonly Upstream[]): Promise<Proxy> {
  const sockets = new Set<Duplex>();
  const server = createServer((request, response) => void forward(request, response, order()));
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Uint8Array) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    void upgrade(request, socket, head, order());
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: Error & { code?: string }) => {
      const isUsed = error.code === "EADDRINUSE";
      reject(isUsed ? new Error(`Another program listens on port ${port}; choose one with --port`) : error);
    });
    server.listen(port, hostname, resolve);
  });
  const address = server.address();
  return {
    port: typeof address === "object" && address ? address.port : port,
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

async function forward(
  request: IncomingMessage,
  response: ServerResponse,
  nodes: readonly Upstream[],
): Promise<void> {
  const connection = await anyOf(nodes);
  if (!connection) return unavailable(response, 503, "No node is ready");
  const headers = grouped(headersOf(request).filter(([name]) => !DROPPED.has(name.toLowerCase())));
  const { method = "GET", url = "/" } = request;
  const sent = sendRequest({ createConnection: () => connection, method, path: url, headers });
  sent.on("response", (answer: IncomingMessage) => {
    response.writeHead(answer.statusCode ?? 502, pairsOf(answer).filter(([name]) => !isOfHop(name)).flat());
    answer.pipe(response);
    answer.on("error", () => response.destroy());
    answer.on("aborted", () => response.destroy());
  });
  sent.on("error", () => {
    if (response.headersSent) response.destroy();
    else unavailable(response, 502, "The node ended before it answered; the outcome is unknown");
  });
  response.on("close", () => connection.destroy());
  request.pipe(sent);
}

/** Forwards the handshake unchanged, then bytes in both directions. */
async function upgrade(
  request: IncomingMessage,
  socket: Duplex,
  head: Uint8Array,
  nodes: readonly Upstream[],
): Promise<void> {
  socket.on("error", () => {});
  const connection = await anyOf(nodes);
  if (!connection) {
    socket.end("HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
    return;
  }
  const lines = headersOf(request).map(([name, value]) => `${name}: ${value}\r\n`).join("");
  connection.write(`${request.method} ${request.url} HTTP/1.1\r\n${lines}\r\n`);
  if (head.length > 0) connection.write(head);
  connection.pipe(socket).pipe(connection);
  connection.on("error", () => {});
  connection.on("close", () => socket.destroy());
  socket.on("close", () => connection.destroy());
}

/** A connection to the first node that accepts one. */
async function anyOf(nodes: readonly Upstream[]): Promise<Socket | undefined> {
  for (const node of nodes) {
    const socket = await new Promise<Socket | undefined>((resolve) => {
      const socket = connect(node.port, "127.0.0.1");
      socket.once("connect", () => resolve(socket));
      socket.once("error", () => resolve(undefined));
    });
    if (socket) return socket;
    node.refused();
  }
  return undefined;
}

/** The headers for the node, with the origin of the request. */
function headersOf(request: IncomingMessage): Header[] {
  return [
    ...pairsOf(request).filter(([name]) => !REPLACED.has(name.toLowerCase())),
    ["x-forwarded-for", (request.socket.remoteAddress ?? "").replace(/^::ffff:/, "")],
    ["x-forwarded-proto", "http"],
    ["x-forwarded-host", request.headers.host ?? ""],
  ];
}

function pairsOf({ rawHeaders }: IncomingMessage): Header[] {
  return rawHeaders.flatMap((name, i): Header[] => i % 2 === 0 ? [[name, rawHeaders[i + 1] ?? ""]] : []);
}

/** A header may occur more than once. */
function grouped(headers: Header[]): Record<string, string[]> {
  const groups = Object.groupBy(headers, ([name]) => name.toLowerCase());
  return Object.fromEntries(Object.entries(groups).map(([name, same = []]) => [name, same.map(([, value]) => value)]));
}

function isOfHop(name: string): boolean {
  return DROPPED.has(name.toLowerCase()) || name.toLowerCase() === "transfer-encoding";
}

function unavailable(response: ServerResponse, status: number, title: string): void {
  if (response.destroyed) return;
  response.writeHead(status, { "content-type": "application/problem+json", "retry-after": "1" });
  response.end(JSON.stringify({ type: "about:blank", title, status }));
}

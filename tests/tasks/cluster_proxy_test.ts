/** The proxy of `deno task cluster`. */
import assert from "node:assert/strict";
import { startProxy, type Upstream } from "../../tasks/cluster/proxy.ts";
import { freePort } from "../support/servers.ts";

interface Proxied extends AsyncDisposable {
  url: string;
  /** Requests that reached the node. */
  seen: { method: string; path: string; headers: Headers; body: string }[];
  /** Ports that refused. */
  refused: number[];
}

/** A node behind the proxy, after another one that does not run. */
async function proxied(answer: (request: Request) => Response | Promise<Response>): Promise<Proxied> {
  const seen: Proxied["seen"] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    const { pathname, search } = new URL(request.url);
    const body = request.headers.has("upgrade") ? "" : await request.clone().text();
    seen.push({ method: request.method, path: pathname + search, headers: request.headers, body });
    return await answer(request);
  });
  const refused: number[] = [];
  const upstream = (port: number): Upstream => ({ port, refused: () => void refused.push(port) });
  const nodes = [upstream(await freePort()), upstream(server.addr.port)];
  const proxy = await startProxy("127.0.0.1", 0, () => nodes);
  return {
    url: `http://127.0.0.1:${proxy.port}`,
    seen,
    refused,
    async [Symbol.asyncDispose]() {
      await proxy[Symbol.asyncDispose]();
      await server.shutdown();
    },
  };
}

Deno.test("The proxy tries the next node when a connection is refused, and passes everything on", async () => {
  const long = "x".repeat(1_000_000);
  await using proxy = await proxied(() =>
    new Response(long, { status: 201, headers: { "x-answer": "1", etag: '"e"' } })
  );
  const response = await fetch(`${proxy.url}/a/b?c=%20d`, { method: "POST", body: long, headers: { "x-own": "2" } });
  assert.deepEqual(
    [response.status, response.headers.get("x-answer"), response.headers.get("etag"), (await response.text()).length],
    [201, "1", '"e"', long.length],
  );
  const [{ method, path, headers, body }] = proxy.seen as [Proxied["seen"][number]];
  assert.deepEqual([method, path, headers.get("x-own"), body.length], ["POST", "/a/b?c=%20d", "2", long.length]);
  assert.equal(proxy.refused.length, 1);
});

Deno.test("The proxy says where a request came from; what the caller says about itself is dropped", async () => {
  await using proxy = await proxied(() => new Response());
  const spoofed = { "x-forwarded-for": "1.2.3.4", forwarded: "for=1.2.3.4", "x-forwarded-proto": "https" };
  await (await fetch(proxy.url, { headers: spoofed })).text();
  const { headers } = proxy.seen[0]!;
  assert.deepEqual(
    ["x-forwarded-for", "forwarded", "x-forwarded-proto", "x-forwarded-host", "host"].map((name) => headers.get(name)),
    ["127.0.0.1", null, "http", new URL(proxy.url).host, new URL(proxy.url).host],
  );
});

Deno.test("A node that took a request and died is not asked again: the answer is 502", async () => {
  let taken = 0;
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  void (async () => {
    for await (const connection of listener) {
      taken++;
      await connection.read(new Uint8Array(1_000));
      connection.close();
    }
  })();
  const node = { port: listener.addr.port, refused: () => {} };
  await using proxy = await startProxy("127.0.0.1", 0, () => [node, node]);
  const response = await fetch(`http://127.0.0.1:${proxy.port}/`, { method: "POST", body: "once" });
  assert.equal(response.status, 502);
  assert.match((await response.json()).title, /the outcome is unknown/);
  assert.equal(taken, 1);
});

Deno.test("Without a node that accepts connections the answer is 503 and says when to try again", async () => {
  const node = { port: await freePort(), refused: () => {} };
  await using proxy = await startProxy("127.0.0.1", 0, () => [node]);
  const response = await fetch(`http://127.0.0.1:${proxy.port}/`);
  assert.deepEqual([response.status, response.headers.get("retry-after")], [503, "1"]);
  await response.body?.cancel();
});

Deno.test("A port in use is named, with the option for another one", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  await assert.rejects(startProxy("127.0.0.1", port, () => []), {
    message: `Another program listens on port ${port}; choose one with --port`,
  });
});

Deno.test("WebSockets go through the proxy in both directions, with their close code", async () => {
  await using proxy = await proxied((request) => {
    const { socket, response } = Deno.upgradeWebSocket(request);
    socket.onmessage = ({ data }) => {
      socket.send(`${data} ${request.headers.get("x-forwarded-for")}`);
      socket.close(4403, "The account is blocked");
    };
    return response;
  });
  const socket = new WebSocket(`${proxy.url.replace("http", "ws")}/live?ticket=1`);
  const heard: unknown[] = [];
  socket.onopen = () => socket.send("hello");
  socket.onmessage = ({ data }) => heard.push(data);
  await new Promise<void>((resolve) => {
    socket.onclose = ({ code, reason }) => {
      heard.push(code, reason);
      resolve();
    };
  });
  assert.deepEqual(heard, ["hello 127.0.0.1", 4403, "The account is blocked"]);
  assert.equal(proxy.seen[0]!.path, "/live?ticket=1");
});

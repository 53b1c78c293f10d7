/** What the proxy of `compose.yaml` sends again, in front of a node that breaks connections. */
import assert from "node:assert/strict";
import { hasHaproxy, startBundledProxy } from "../support/bundled_proxy.ts";
import { NameServer } from "../support/name_server.ts";
import { half, RawHttp } from "../support/raw_http.ts";
import { freePort } from "../support/servers.ts";
import { until } from "../support/wait.ts";

const ADDRESS = "127.0.0.13";

/** Answers 200, and breaks the connection for the path `/break` each first time it gets it with that method. */
class BreakingNode implements AsyncDisposable {
  readonly received: string[] = [];
  readonly #listener: Deno.TcpListener;

  constructor(port: number) {
    this.#listener = Deno.listen({ hostname: ADDRESS, port });
    void this.#accept();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
  }

  async #accept(): Promise<void> {
    try {
      for await (const connection of this.#listener) void this.#serve(connection).catch(() => {});
    } catch {
      // It was closed.
    }
  }

  async #serve(connection: Deno.TcpConn): Promise<void> {
    const buffer = new Uint8Array(16_384);
    for (let read = await connection.read(buffer); read !== null; read = await connection.read(buffer)) {
      const [line = ""] = new TextDecoder().decode(buffer.subarray(0, read)).split(" HTTP/1.1\r\n");
      const isFirst = !this.received.includes(line);
      if (line !== "GET /readyz") this.received.push(line);
      if (line.endsWith(" /break") && isFirst) return connection.close();
      await connection.write(new TextEncoder().encode("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"));
    }
    connection.close();
  }
}

const options = { ignore: !hasHaproxy(), sanitizeOps: false, sanitizeResources: false };

Deno.test({
  name: "After a connection that broke a read is sent again, and a write is not",
  ...options,
  async fn() {
    const port = await freePort();
    await using node = new BreakingNode(port);
    await using names = await NameServer.start();
    names.addresses = [ADDRESS];
    await using proxy = await startBundledProxy(names, port);
    for (const [method, status] of [["GET", 200], ["POST", 504], ["PUT", 504], ["DELETE", 504]] as const) {
      // Each on a connection of its own: HAProxy before 3.0 leaves later requests of a caller's connection without an
      // answer.
      for (const path of ["/", "/break"]) {
        using client = await RawHttp.open(proxy.url, half(`${method} ${path}`, { "Content-Length": "0" }));
        await until(`an answer to ${method} ${path}`, () => client.status);
        assert.equal(client.status, path === "/" ? 200 : status, client.received);
      }
      const sent = node.received.filter((line) => line === `${method} /break`).length;
      assert.equal(sent, status === 200 ? 2 : 1, method);
    }
  },
});

for (const without of ["reads", "writes", "live"] as const) {
  Deno.test({
    name: `A proxy whose backend "${without}" has no node says that it is not ready`,
    ...options,
    async fn() {
      const port = await freePort();
      await using _node = new BreakingNode(port);
      await using names = await NameServer.start();
      names.addresses = [ADDRESS];
      await using proxy = await startBundledProxy(names, port, { without });
      assert.equal(await proxy.healthy(), false);
    },
  });
}

Deno.test({
  name: "What nodes ask each other cannot be asked through the proxy",
  ...options,
  async fn() {
    const port = await freePort();
    await using node = new BreakingNode(port);
    await using names = await NameServer.start();
    names.addresses = [ADDRESS];
    await using proxy = await startBundledProxy(names, port);
    await until("the proxy is ready", () => proxy.healthy());
    const response = await fetch(`${proxy.url}/internal/node-call`, { method: "POST" });
    await response.body?.cancel();
    assert.deepEqual([response.status, node.received], [404, []]);
  },
});

Deno.test({
  name: "Without a node that is ready the proxy answers 503 with a problem",
  ...options,
  async fn() {
    const port = await freePort();
    const node = new BreakingNode(port);
    await using names = await NameServer.start();
    names.addresses = [ADDRESS];
    await using proxy = await startBundledProxy(names, port);
    await node[Symbol.asyncDispose]();
    const response = await fetch(proxy.url, { method: "POST" });
    assert.equal(response.status, 503);
    assert.equal(response.headers.get("content-type"), "application/problem+json");
    assert.equal(response.headers.get("retry-after"), "1");
    assert.equal((await response.json()).type, "/problems/actors-unavailable");
  },
});

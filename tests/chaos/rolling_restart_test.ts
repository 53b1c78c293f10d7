/**
 * `docker/rolling_restart.sh` on real nodes behind the proxy of `compose.yaml`, under load. A fake Docker passes
 * its calls to this test, which starts and stops nodes in place of containers.
 */
import assert from "node:assert/strict";
import { hasHaproxy, startBundledProxy } from "../support/bundled_proxy.ts";
import { freshDatabase } from "../support/database.ts";
import { Listener } from "../support/listener.ts";
import { checkPosts, checkStatuses, underLoad } from "../support/load.ts";
import { NameServer } from "../support/name_server.ts";
import { emptyFolder, NodeProcess } from "../support/node_process.ts";
import { makePeople, type Person } from "../support/person.ts";
import { freePort } from "../support/servers.ts";
import { ROOT } from "../support/sources.ts";
import { until } from "../support/wait.ts";

const ignore = !hasHaproxy() || Deno.env.get("TEST_NATS_URL") === undefined;
/** One at a time, the arguments of a call and what it prints. */
const DOCKER = `#!/bin/sh
exec curl --silent --show-error --fail --data-binary "$*" "$CONTAINERS_URL"
`;

/** The containers of the service `api`: each a node at an address of its own. */
class Containers implements AsyncDisposable {
  readonly nodes = new Map<string, NodeProcess>();
  leastReady = Infinity;
  #started = 0;

  constructor(private readonly names: NameServer, private readonly env: Record<string, string>) {}

  async start(): Promise<void> {
    const address = `127.0.0.${20 + ++this.#started}`;
    const node = await NodeProcess.on(await emptyFolder(), { ...this.env, HOST: address });
    this.nodes.set(address, node);
    this.names.addresses = [...this.nodes.keys()];
  }

  /** What the script asks of Docker; the answer. */
  async handle(command: string): Promise<string> {
    this.leastReady = Math.min(this.leastReady, this.nodes.size);
    const [verb] = command.split(" ");
    const id = command.split(" ").at(-1)!;
    if (command === "compose ps --quiet api") return [...this.nodes.keys()].map((each) => `${each}\n`).join("");
    const count = /^compose up .* --scale api=(\d+) api$/.exec(command)?.[1];
    if (count !== undefined) {
      while (this.nodes.size < Number(count)) await this.start();
      return "";
    }
    if (verb === "inspect") {
      const response = await fetch(`${this.nodes.get(id)!.url}/readyz`);
      await response.body?.cancel();
      return response.ok ? "healthy\n" : "unhealthy\n";
    }
    if (verb === "stop") {
      const node = this.nodes.get(id)!;
      assert.equal((await node.stop()).code, 0);
      this.nodes.delete(id);
      // Docker's name server forgets a container that has stopped.
      this.names.addresses = [...this.nodes.keys()];
      await node[Symbol.asyncDispose]();
    }
    return "";
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const node of this.nodes.values()) await node[Symbol.asyncDispose]();
  }
}

async function restart(containers: Containers): Promise<void> {
  await using folder = await emptyFolder();
  await Deno.writeTextFile(`${folder.path}/docker`, DOCKER, { mode: 0o755 });
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, async (request) => {
    return new Response(await containers.handle(await request.text()));
  });
  const { code, stderr } = await new Deno.Command("docker/rolling_restart.sh", {
    cwd: ROOT,
    env: { PATH: `${folder.path}:${Deno.env.get("PATH")}`, CONTAINERS_URL: `http://127.0.0.1:${server.addr.port}` },
  }).output();
  await server.shutdown();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
}

Deno.test({
  name: "A rolling restart under load fails no read and no write, and live sockets resume",
  ignore,
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    await using stack = new AsyncDisposableStack();
    const port = await freePort();
    const storagePort = String(await freePort());
    const stores = {
      DATABASE_URL: await freshDatabase(),
      REDIS_URL: Deno.env.get("TEST_REDIS_URL")!,
      NATS_URL: Deno.env.get("TEST_NATS_URL")!,
      WORKERS: "1",
    };
    const photos = { ...stores, ROLES: "storage", STORAGE_PORT: storagePort };
    const storage = stack.use(await NodeProcess.on(await emptyFolder(), photos));
    const names = stack.use(await NameServer.start());
    const api = { ...stores, ROLES: "api,actors", PORT: String(port), STORAGE_URL: `http://127.0.0.1:${storagePort}` };
    const containers = stack.use(new Containers(names, api));
    for (let i = 0; i < 2; i++) await containers.start();
    const old = [...containers.nodes.keys()];
    const proxy = stack.use(await startBundledProxy(names, port));
    const [person] = await makePeople(proxy, 1, "proxied") as [Person];
    const listener = stack.use(await Listener.open(person));
    let stopped = false;
    stack.defer(() => void (stopped = true));
    // As the web client does: with its last cursor, as soon as it is asked to.
    const resuming = (async () => {
      while (!stopped) {
        await until("the socket is closed", () => !listener.connected || stopped, { timeoutMs: 600_000 });
        if (!stopped) await listener.connect().catch(() => {});
      }
    })();
    const seen = await underLoad(person, "rolling", () => restart(containers));
    checkStatuses(seen, [201]);
    await checkPosts(seen, storage.sql);
    assert.equal(containers.leastReady, 2);
    assert.ok([...containers.nodes.keys()].every((address) => !old.includes(address)));
    const received = () =>
      new Set(listener.events.filter(({ type }) => type === "post.created").map(({ data }) => data.text));
    await until("every acknowledged post has arrived", () => seen.posted.every((text) => received().has(text)));
    assert.deepEqual(listener.resets, []);
    assert.ok(listener.hellos.length > 1, "the socket was moved");
    stopped = true;
    await resuming;
  },
});

/** The health check of the image, against healthy, unhealthy, silent and missing servers. */
import assert from "node:assert/strict";
import { freePort } from "../support/servers.ts";
import { ROOT } from "../support/sources.ts";

async function isHealthy(check: string | undefined): Promise<boolean> {
  const home = await Deno.makeTempDir({ prefix: "rookery-healthcheck-" });
  try {
    if (check !== undefined) await Deno.writeTextFile(`${home}/rookery-check`, `${check}\n`);
    const { success } = await new Deno.Command("docker/healthcheck.sh", {
      cwd: ROOT,
      env: { TMPDIR: home },
      stderr: "null",
    }).output();
    return success;
  } finally {
    await Deno.remove(home, { recursive: true });
  }
}

Deno.test("A role is healthy while its address answers 200", async () => {
  let status = 200;
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, ({ url }) => {
    return new Response("{}", { status: new URL(url).pathname === "/readyz" ? status : 404 });
  });
  const { port } = server.addr;
  assert.equal(await isHealthy(`http ${port} /readyz`), true);
  assert.equal(await isHealthy(`http ${port} /elsewhere`), false);
  for (status of [503, 500]) assert.equal(await isHealthy(`http ${port} /readyz`), false);
  await server.shutdown();
  assert.equal(await isHealthy(`http ${port} /readyz`), false);
});

Deno.test("The mail server is healthy while it greets", async () => {
  for (const [greeting, healthy] of [["220 mail\r\n", true], ["421 busy\r\n", false]] as const) {
    using listener = Deno.listen({ port: 0, hostname: "127.0.0.1" });
    const greeted = (async () => {
      using connection = await listener.accept();
      await connection.write(new TextEncoder().encode(greeting));
    })();
    assert.equal(await isHealthy(`banner ${(listener.addr as Deno.NetAddr).port} 220`), healthy);
    await greeted;
  }
});

Deno.test("A process that accepts connections and does not answer is not healthy", async () => {
  using listener = Deno.listen({ port: 0, hostname: "127.0.0.1" });
  assert.equal(await isHealthy(`http ${(listener.addr as Deno.NetAddr).port} /healthz`), false);
});

Deno.test("A closed port is not healthy; a container without a role has no check", async () => {
  assert.equal(await isHealthy(`http ${await freePort()} /healthz`), false);
  assert.equal(await isHealthy(undefined), true);
});

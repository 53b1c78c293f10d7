import assert from "node:assert/strict";
import { freePorts } from "../../lib/free_ports.ts";

Deno.test("Free ports differ, can be listened on, and are none that an outgoing connection gets", () => {
  const ports = freePorts(50);
  assert.equal(new Set(ports).size, 50);
  for (const port of ports) {
    assert.ok(port >= 1_024 && port < 32_768, `${port}`);
    Deno.listen({ hostname: "127.0.0.1", port }).close();
  }
});

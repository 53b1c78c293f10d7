/** The HTTP client of tasks. */
import assert from "node:assert/strict";
import { Client, Problem } from "../../tasks/client.ts";

/** Answers each call with the next problem, then with success. */
async function repeated(...problems: [status: number, slug: string][]): Promise<{ keys: (string | null)[] }> {
  const keys: (string | null)[] = [];
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    await request.text();
    const [status, slug] = problems[keys.push(request.headers.get("idempotency-key")) - 1] ?? [200, ""];
    const headers = { "retry-after": "0" };
    return Response.json({ type: `http://127.0.0.1/problems/${slug}`, title: slug }, { status, headers });
  });
  await new Client(`http://127.0.0.1:${server.addr.port}`, { attempts: 5 }).call("POST", "/posts", {});
  return { keys };
}

Deno.test("A call at a node that died is repeated under its key until the key is free", async () => {
  const { keys } = await repeated([502, "about:blank"], [409, "idempotency-key-running"], [503, "not-ready"]);
  assert.equal(keys.length, 4);
  assert.equal(new Set(keys).size, 1);
});

Deno.test("A call that is refused is not repeated", async () => {
  await assert.rejects(repeated([409, "login-taken"]), (error) => error instanceof Problem && error.status === 409);
});

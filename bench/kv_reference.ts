/**
 * The reference of the key–value store: `kv_reference.ts <Tarantool's port>` serves the same calls from Tarantool with
 * a minimal Hono app and prints its port. The token is the caller's name and is not verified.
 */
import process from "node:process";
import { Hono } from "hono";
import Tarantool from "../tests/packages/tarantool.ts";

const tarantool = new Tarantool({ host: "127.0.0.1", port: Number(process.argv[2]), lazyConnect: false });
const app = new Hono();

app.post("/kv/read", async (c) => {
  const { keys } = await c.req.json<{ keys: string[] }>();
  // Values are stored as JSON text there, too.
  const [values] = await tarantool.call("kv_read", c.req.header("authorization"), keys) as [(string | null)[]];
  const pairs: string[] = [];
  for (let i = 0; i < keys.length; i++) {
    if (values[i] === null) return c.json({ missing: keys[i] }, 404);
    pairs.push(`${JSON.stringify(keys[i])}:${values[i]}`);
  }
  return c.body(`{"data":{${pairs.join(",")}}}`, 200, { "content-type": "application/json" });
});

app.post("/kv/write", async (c) => {
  const { data } = await c.req.json<{ data: Record<string, unknown> }>();
  const values = Object.values(data).map((value) => JSON.stringify(value));
  const [ignored] = await tarantool.call("kv_write", c.req.header("authorization"), Object.keys(data), values);
  return c.json({ status: "success", ignored }, 201);
});

const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, app.fetch);
process.stdout.write(`${server.addr.port}\n`);

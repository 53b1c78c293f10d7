/** The process of the bundled storage; ends when its standard input does. */
import { Log } from "../../lib/log.ts";
import { startStorageServer } from "../roles/storage.ts";
import { leaveSignalsToParent } from "../../lib/signals.ts";

leaveSignalsToParent();

const server = await startStorageServer({
  host: "127.0.0.1",
  port: Number(Deno.env.get("STORAGE_PORT") ?? 0),
  folder: Deno.env.get("STORAGE_FOLDER") ?? "",
  maxEntries: Number(Deno.env.get("STORAGE_MAX_ENTRIES")),
  token: Deno.env.get("STORAGE_TOKEN") ?? "",
  log: new Log("info", { part: "storage" }),
});
Deno.stdout.writeSync(new TextEncoder().encode(`${JSON.stringify({ port: server.port })}\n`));

// The parent only ever closes it: by its will or by its death.
for await (const _ of Deno.stdin.readable);
await server[Symbol.asyncDispose]();
Deno.exit(0);

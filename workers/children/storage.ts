/** The process of the bundled storage. */
import { Log } from "../../lib/log.ts";
import { startStorageServer } from "../roles/storage.ts";
import { runChild } from "./run_child.ts";

await runChild(async (setting) => {
  const server = await startStorageServer({
    host: "127.0.0.1",
    port: Number(setting("STORAGE_PORT") ?? 0),
    folder: setting("STORAGE_FOLDER") ?? "",
    maxEntries: Number(setting("STORAGE_MAX_ENTRIES")),
    token: setting("STORAGE_TOKEN") ?? "",
    log: new Log("info", { part: "storage" }),
  });
  return { port: server.port, stop: () => server[Symbol.asyncDispose]() };
});

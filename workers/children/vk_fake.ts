/** The process of the fake VK. */
import { startFakeServer } from "../../services/vk/fake/server.ts";
import { runChild } from "./run_child.ts";

await runChild((setting) => startFakeServer({ port: Number(setting("VK_FAKE_PORT") ?? 0) }));

import type { Log } from "../../lib/log.ts";
import { type Child, startChild } from "./start_child.ts";

/** Starts the fake VK. */
export function startFakeChild(log: Log): Promise<Child> {
  return startChild({
    name: "the fake VK",
    entry: new URL("./vk_fake.ts", import.meta.url),
    access: { env: ["VK_FAKE_PORT"] },
    env: (port) => ({ VK_FAKE_PORT: String(port) }),
    port: 0,
    log,
  });
}

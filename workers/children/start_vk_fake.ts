import type { Log } from "../../lib/log.ts";
import { startChildProcess } from "../../lib/child_process.ts";

export interface FakeChild extends AsyncDisposable {
  url: string;
}

/** Runs the fake VK as a process of its own, which ends with this one and is started anew when it dies. */
export async function startFakeChild(log: Log): Promise<FakeChild> {
  const child = await startChildProcess({
    name: "the fake VK",
    entry: new URL("./vk_fake.ts", import.meta.url),
    permissions: ["--allow-net=127.0.0.1", "--allow-env=VK_FAKE_PORT"],
    env: (port) => ({ VK_FAKE_PORT: String(port) }),
    port: 0,
    log,
  });
  return { url: `http://127.0.0.1:${child.port}`, [Symbol.asyncDispose]: () => child[Symbol.asyncDispose]() };
}

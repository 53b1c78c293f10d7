/**
 * A fake VK in this process: for a client that neither waits for the limit nor long between tries, unless told; or for
 * a node.
 */
import assert from "node:assert/strict";
import { MemoryCache } from "../../lib/cache/memory.ts";
import { type Vk, VkClient, type VkClientOptions } from "../../services/vk/client.ts";
import type { VkFailure, VkResult } from "../../services/vk/errors.ts";
import type { LogEntry, VkFake } from "../../services/vk/fake/fake.ts";
import { type FakeServer, startFakeServer } from "../../services/vk/fake/server.ts";
import { CallLimiter, type LimiterOptions } from "../../services/vk/limiter.ts";
import { VkToken } from "../../services/vk/token.ts";
import { ALL_ROLES, ownApp, type TestApp } from "./app.ts";

/** One node for all tests of a file, whose VK is the fake of this process. */
export function sharedVkApp(): { app: TestApp; fake: () => VkFake } {
  const settings: Record<string, string> = { ...ALL_ROLES };
  let server: FakeServer;
  Deno.test.beforeAll(async () => {
    server = await startFakeServer();
    settings.VK_API_URL = server.url;
  });
  const app = ownApp(settings);
  Deno.test.afterAll(async () => await server[Symbol.asyncDispose]());
  return { app, fake: () => server.fake };
}

export interface TestVk extends AsyncDisposable {
  url: string;
  fake: VkFake;
  client: VkClient;
  as(token?: string): Vk;
  /** The names of the methods that reached the fake. */
  asked(): string[];
}

export interface TestVkOptions extends Partial<Omit<VkClientOptions, "limiter" | "holderOf">> {
  limits?: LimiterOptions;
}

export async function startVk({ limits, ...options }: TestVkOptions = {}): Promise<TestVk> {
  const stack = new AsyncDisposableStack();
  const { url, fake } = stack.use(await startFakeServer());
  if (!limits) fake.switches.calls = 10_000;
  const limiter = stack.use(new CallLimiter(stack.use(new MemoryCache()), limits ?? { calls: 10_000 }));
  const client = stack.use(
    new VkClient({
      url,
      limiter,
      holderOf: (token) => token.reveal(),
      ...options,
      retry: { pauseMs: 5, windowMs: 20, ...options.retry },
    }),
  );
  return {
    url,
    fake,
    client,
    as: (token = "fake-user-101") => client.as(new VkToken(token)),
    asked: () => fake.log.map(({ method }) => method),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

export function valueOf<T>(result: VkResult<T>): T {
  if (!result.ok) assert.fail(`Expected a value, got ${JSON.stringify(result.failure)}`);
  return result.value;
}

export function failureIn(result: VkResult<unknown>): VkFailure {
  if (result.ok) assert.fail(`Expected a failure, got ${JSON.stringify(result.value)}`);
  return result.failure;
}

/** The calls that a logged `execute` was made of. */
export function innerCalls({ params }: LogEntry): string[] {
  return [...(params["code"] ?? "").matchAll(/API\.([\w.]+)\(/g)].map(([, method]) => method!);
}

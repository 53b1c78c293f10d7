/** Runs the fake VK alone, for a server in another process or for any VK client. */
import { readCommandLine } from "../lib/command_line.ts";
import { vkFake } from "./commands/vk_fake.ts";
import { startFakeServer } from "../services/vk/fake/server.ts";
import { fail, say } from "./terminal.ts";

const { port } = readCommandLine(vkFake);
try {
  const server = await startFakeServer({ port });
  say(`The fake VK is ready at ${server.url}; start Rookery with VK_API_URL=${server.url}`);
  say("Tokens: fake-user-<id>, fake-service. Its data and failure modes:");
  say(`  curl -s ${server.url}/fake`);
} catch (error) {
  fail(`The fake VK failed: ${error instanceof Error ? error.message : error}`);
}

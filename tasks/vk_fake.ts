/** The fake VK by itself, for developing against it: a server of another process, or any client of VK's. */
import { readCommandLine } from "../lib/command_line.ts";
import { vkFake } from "./commands/vk_fake.ts";
import { startFakeServer } from "../services/vk/fake/server.ts";
import { fail, say } from "./terminal.ts";

const { port } = readCommandLine(vkFake);
try {
  const server = await startFakeServer({ port });
  say(`The fake VK is ready at ${server.url}; start Rookery with VK_API_URL=${server.url}`);
  say("Tokens: fake-user-<id>, fake-service. What else it has and can be made to do:");
  say(`  curl -s ${server.url}/fake`);
} catch (error) {
  fail(`The fake VK cannot run: ${error instanceof Error ? error.message : error}`);
}

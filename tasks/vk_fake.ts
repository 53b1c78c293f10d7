/** The fake VK by itself, for developing against it: a server of another process, or any client of VK's. */
import { parseArgs } from "node:util";
import { offerHelp } from "../lib/command_line.ts";
import { startFakeServer } from "../services/vk/fake/server.ts";
import { fail, say } from "./terminal.ts";

const USAGE = "usage: deno task vk:fake [--port 8090]    0 takes a free one";
const STANDARD_PORT = "8090";

offerHelp(USAGE);
const port = portOf(Deno.args);
if (port === undefined) fail(USAGE, 2);
try {
  const server = await startFakeServer({ port });
  say(`The fake VK is ready at ${server.url}; start Rookery with VK_API_URL=${server.url}`);
  say("Tokens: fake-user-<id>, fake-service. What else it has and can be made to do:");
  say(`  curl -s ${server.url}/fake`);
} catch (error) {
  fail(`The fake VK cannot run: ${error instanceof Error ? error.message : error}`);
}

function portOf(args: string[]): number | undefined {
  try {
    const { values } = parseArgs({ args, options: { port: { type: "string", default: STANDARD_PORT } } });
    return /^\d{1,5}$/.test(values.port) ? Number(values.port) : undefined;
  } catch {
    return undefined;
  }
}

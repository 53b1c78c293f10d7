/** The process of the fake VK; ends when its standard input does. */
import { startFakeServer } from "../../services/vk/fake/server.ts";
import { leaveSignalsToParent } from "../../lib/signals.ts";

leaveSignalsToParent();

const server = await startFakeServer({ port: Number(Deno.env.get("VK_FAKE_PORT") ?? 0) });
Deno.stdout.writeSync(new TextEncoder().encode(`${JSON.stringify({ port: server.port })}\n`));

// The parent only ever closes it: by its will or by its death.
for await (const _ of Deno.stdin.readable);
Deno.exit(0);

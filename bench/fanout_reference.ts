/**
 * The reference of the fan-out: a bare `ws` server that sends the same bytes to every socket, once per line `send
 * <text>` of standard input.
 */
import process from "node:process";
import { WebSocketServer } from "../tests/packages/ws.ts";

const server = new WebSocketServer({ port: 0, host: "127.0.0.1", perMessageDeflate: false, backlog: 4096 });
server.on("listening", () => process.stdout.write(`${(server.address() as { port: number }).port}\n`));

let text = "";
for await (const chunk of process.stdin) {
  text += chunk;
  for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n")) {
    const frame = text.slice(0, end);
    text = text.slice(end + 1);
    for (const client of server.clients) client.send(frame);
  }
}
process.exit(0);

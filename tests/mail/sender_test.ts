import assert from "node:assert/strict";
import { createServer, type Socket } from "node:net";
import { Mailer, MailError } from "../../mail/sender.ts";

/** What the server does instead of taking the letter. */
const FAILURES: [name: string, at: "AUTH" | "RCPT" | "DATA" | "END", answer: string | null, kind: string][] = [
  ["the connection breaks before the data", "RCPT", null, "temporary"],
  ["the connection breaks at the data command", "DATA", null, "temporary"],
  ["the connection breaks after the data", "END", null, "unclear"],
  ["the recipient is refused for now", "RCPT", "451 later", "temporary"],
  ["the recipient is refused for good", "RCPT", "550 nobody", "permanent"],
  ["the letter is refused for now", "END", "451 later", "temporary"],
  ["the letter is refused for good", "END", "554 no", "permanent"],
  ["the sign-in is refused, which a setting mends", "AUTH", "535 bad", "temporary"],
];
const LETTER = { to: "bob@example.org", subject: "Hello", text: "hello", html: "<p>hello</p>", messageId: "<1@test>" };

for (const [name, at, answer, kind] of FAILURES) {
  Deno.test(`A hand-over is ${kind} when ${name}`, async () => {
    await using server = await startServer(at, answer);
    const auth = at === "AUTH" ? "user:word@" : "";
    const mailer = new Mailer({ url: `smtp://${auth}127.0.0.1:${server.port}`, from: "rook@example.org" });
    await assert.rejects(mailer.send(LETTER), (error) => error instanceof MailError && error.kind === kind);
  });
}

Deno.test("No address or subject brings in another recipient or header", async () => {
  await using server = await startServer();
  const mailer = new Mailer({ url: `smtp://127.0.0.1:${server.port}`, from: "Rookery <rook@example.org>" });
  await mailer.send({ ...LETTER, subject: "Hello\r\nBcc: eve@example.org" });
  assert.deepEqual(server.lines.filter((line) => line.startsWith("RCPT")), ["RCPT TO:<bob@example.org>"]);
  assert.ok(!server.lines.some((line) => line.startsWith("Bcc")));
  const addresses = [
    "a@example.org, eve@example.org",
    "a@b>\r\nRCPT TO:<eve@example.org",
    "Bob <a@example.org>",
    "a",
    "",
  ];
  for (const to of addresses) {
    await assert.rejects(
      mailer.send({ ...LETTER, to }),
      (error) => error instanceof MailError && error.kind === "permanent",
    );
  }
  assert.equal(server.lines.filter((line) => line.startsWith("RCPT")).length, 1);
});

async function startServer(failsAt?: string, answer?: string | null) {
  const lines: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    let buffer = "";
    let inData = false;
    const reply = (step: string, usual: string) => {
      if (step !== failsAt) socket.write(`${usual}\r\n`);
      else if (answer === null) socket.destroy();
      else socket.write(`${answer}\r\n`);
    };
    socket.on("error", () => {});
    socket.write("220 test\r\n");
    socket.on("data", (chunk) => {
      buffer += chunk.toString();
      for (let end; (end = buffer.indexOf("\r\n")) >= 0; buffer = buffer.slice(end + 2)) {
        const line = buffer.slice(0, end);
        lines.push(line);
        if (inData && line !== ".") continue;
        const verb = line.slice(0, 4).toUpperCase();
        if (inData) {
          inData = false;
          reply("END", "250 taken");
        } else if (verb === "EHLO") socket.write("250-test\r\n250 AUTH PLAIN\r\n");
        else if (verb === "DATA") {
          inData = true;
          reply("DATA", "354 go on");
        } else reply(verb, "250 fine");
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  const address = server.address();
  assert.ok(address !== null && typeof address === "object");
  return {
    port: address.port,
    lines,
    [Symbol.asyncDispose]: () => {
      for (const socket of sockets) socket.destroy();
      return new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

import assert from "node:assert/strict";
import { Mailer, MailError } from "../../../services/mail/sender.ts";
import { type SmtpStep, SmtpTrap } from "../../support/smtp_trap.ts";

/** Failures of the server, with their kind. */
const FAILURES: [name: string, at: SmtpStep, answer: string | null, kind: string][] = [
  ["the connection breaks before the data", "RCPT", null, "temporary"],
  ["the connection breaks at the data command", "DATA", null, "temporary"],
  ["the connection breaks after the data", "END", null, "unclear"],
  ["the recipient is rejected temporarily", "RCPT", "451 later", "temporary"],
  ["the rejection has no reason", "RCPT", "550 relay not permitted", "permanent"],
  ["the relay rejects", "RCPT", "550 5.7.1 relaying denied", "permanent"],
  ["there is no route", "RCPT", "550 5.4.4 no route", "permanent"],
  ["the mailbox is rejected after the data", "END", "550 5.1.1 nobody", "bounced"],
  ["the address accepts no email", "RCPT", "556 5.1.10 null MX", "bounced"],
  ["a longer code has the prefix of a bounce", "RCPT", "550 5.1.16 odd", "permanent"],
  ["a temporary reply has the code of a bounce", "RCPT", "450 5.1.1 later", "temporary"],
  ["an enhanced code reports a missing mailbox", "RCPT", "554 5.1.1 nobody", "bounced"],
  ["the mailbox is closed", "RCPT", "550 5.2.1 closed", "bounced"],
  ["the mailbox is full", "RCPT", "552 5.2.2 full", "permanent"],
  ["relaying is denied", "RCPT", "550 5.7.1 relaying denied", "permanent"],
  ["the sender is rejected", "MAIL", "550 5.1.8 who", "permanent"],
  ["the email is rejected temporarily", "END", "451 later", "temporary"],
  ["the email is rejected permanently", "END", "554 no", "permanent"],
  ["the sign-in is rejected, which a setting can fix", "AUTH", "535 bad", "temporary"],
];
const EMAIL = { to: "bob@example.org", subject: "Hello", text: "hello", html: "<p>hello</p>", messageId: "<1@test>" };

for (const [name, at, answer, kind] of FAILURES) {
  Deno.test(`A delivery is ${kind} when ${name}`, async () => {
    await using server = await SmtpTrap.open(({ step }) => step === at ? answer : undefined);
    const auth = at === "AUTH" ? "user:word@" : "";
    const mailer = new Mailer({ url: `smtp://${auth}127.0.0.1:${server.port}`, from: "rook@example.org" });
    await assert.rejects(mailer.send(EMAIL), (error) => error instanceof MailError && error.kind === kind);
  });
}

Deno.test("No address or subject can inject another recipient or header", async () => {
  await using server = await SmtpTrap.open();
  const mailer = new Mailer({ url: `smtp://127.0.0.1:${server.port}`, from: "Rookery <rook@example.org>" });
  await mailer.send({ ...EMAIL, subject: "Hello\r\nBcc: eve@example.org" });
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
      mailer.send({ ...EMAIL, to }),
      (error) => error instanceof MailError && error.kind === "permanent",
    );
  }
  assert.equal(server.lines.filter((line) => line.startsWith("RCPT")).length, 1);
});

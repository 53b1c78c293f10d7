import { createHash } from "node:crypto";
import PostalMime from "postal-mime";
import { SMTPServer, type SMTPServerDataStream, type SMTPServerSession } from "smtp-server";
import { storeEmail } from "../../db/letters.ts";
import type { Sql } from "../../db/sql.ts";
import type { Log } from "../../lib/log.ts";
import { counter } from "../../lib/metrics/registry.ts";
import { deliveryOf } from "./message_id.ts";

/** Maximum length of an email, in bytes (`docs/limits.md`). */
const MAX_EMAIL_BYTES = 1024 * 1024;
const MAX_CLIENTS = 64;

const RECEIVED = counter("mail_received_total", "Emails received by the bundled mail server", ["outcome"]);

export interface MailServer extends AsyncDisposable {
  port: number;
}

/**
 * The bundled mail server: accepts emails for any address over SMTP and stores each durably before it confirms. An
 * email with a known Message-ID for an address is accepted and dropped, so that a repeated delivery is one email. An
 * email for an unknown address is dropped too, so that the response does not reveal which addresses have an account.
 */
export async function startMailServer(
  sql: Sql,
  { host, port, log }: { host: string; port: number; log: Log },
): Promise<MailServer> {
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ["AUTH", "STARTTLS"],
    disableReverseLookup: true,
    size: MAX_EMAIL_BYTES,
    maxClients: MAX_CLIENTS,
    socketTimeout: 30_000,
    closeTimeout: 1_000,
    logger: false,
    onData: (stream, session, done) => {
      receive(sql, stream, session).then(() => {
        RECEIVED.inc({ outcome: "accepted" });
        done();
      }, (error) => {
        RECEIVED.inc({ outcome: "refused" });
        log.warnOften("email refused", {}, { error });
        done(error instanceof Refused ? error : Object.assign(new Error("Try again later"), { responseCode: 451 }));
      });
    },
  });
  server.on("error", (error: Error) => log.warnOften("mail connection failed", {}, { error }));
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => {
      server.off("error", reject);
      resolve();
    });
  });
  const address = server.server.address();
  return {
    port: typeof address === "object" && address ? address.port : port,
    [Symbol.asyncDispose]: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

/** Sent to the client with its SMTP code. */
class Refused extends Error {
  constructor(message: string, readonly responseCode: number) {
    super(message);
  }
}

async function receive(sql: Sql, stream: SMTPServerDataStream, session: SMTPServerSession): Promise<void> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of stream as AsyncIterable<Uint8Array>) {
    size += chunk.byteLength;
    // Read to the end, so that the connection stays usable, but keep nothing.
    if (size <= MAX_EMAIL_BYTES) chunks.push(chunk);
  }
  if (size > MAX_EMAIL_BYTES) throw new Refused(`An email has at most ${MAX_EMAIL_BYTES} bytes`, 552);
  const email = await new Blob(chunks as BlobPart[]).arrayBuffer().then((bytes) => PostalMime.parse(bytes)).catch(() =>
    undefined
  );
  if (!email) throw new Refused("The email cannot be parsed", 554);
  const sender = session.envelope.mailFrom ? session.envelope.mailFrom.address : "";
  // Without a Message-ID duplicates cannot be detected: each counts as a new email.
  const message_id = email.messageId ? messageId(email.messageId) : `<${crypto.randomUUID()}@unnamed>`;
  for (const { address } of session.envelope.rcptTo) {
    await storeEmail(sql, {
      message_id,
      delivery: deliveryOf(message_id),
      sender: clean(email.from?.address ?? sender),
      recipient: address,
      subject: clean(email.subject ?? ""),
      text: clean(email.text ?? ""),
      html: email.html === undefined ? null : clean(email.html),
    });
  }
}

/** Short enough for an index: a longer one is replaced by its hash. */
function messageId(given: string): string {
  const id = clean(given);
  return id.length <= 500 ? id : `<${createHash("sha256").update(id).digest("hex")}@long>`;
}

/** Postgres accepts no NUL. */
function clean(text: string): string {
  return text.replaceAll("\0", "").toWellFormed();
}

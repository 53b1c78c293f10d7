import { createHash } from "node:crypto";
import PostalMime from "postal-mime";
import { SMTPServer, type SMTPServerDataStream, type SMTPServerSession } from "smtp-server";
import { storeLetter } from "../../db/letters.ts";
import type { Sql } from "../../db/sql.ts";
import type { Log } from "../../lib/log.ts";
import { deliveryOf } from "./message_id.ts";

/** A letter may be this long, in bytes (`docs/limits.md`). */
const MAX_EMAIL_BYTES = 1024 * 1024;
const MAX_CLIENTS = 64;

export interface MailServer extends AsyncDisposable {
  port: number;
}

/**
 * The bundled mail server: takes letters for any address over SMTP and stores each durably before it says so. A letter whose
 * Message-ID an address has already is taken and dropped, so that a repeated hand-over is one letter; so is one for an address that no
 * account has, so that the answer does not tell which have one.
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
      receive(sql, stream, session).then(() => done(), (error) => {
        log.warn("a letter was not taken", { error });
        done(error instanceof Refused ? error : Object.assign(new Error("Try again later"), { responseCode: 451 }));
      });
    },
  });
  server.on("error", (error: Error) => log.warn("a mail connection failed", { error }));
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

/** Said to the client as it is, with its SMTP code. */
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
    // Read on to the end, so that the connection stays usable, but keep nothing.
    if (size <= MAX_EMAIL_BYTES) chunks.push(chunk);
  }
  if (size > MAX_EMAIL_BYTES) throw new Refused(`A letter has at most ${MAX_EMAIL_BYTES} bytes`, 552);
  const letter = await new Blob(chunks as BlobPart[]).arrayBuffer().then((bytes) => PostalMime.parse(bytes)).catch(() =>
    undefined
  );
  if (!letter) throw new Refused("The letter cannot be read", 554);
  const sender = session.envelope.mailFrom ? session.envelope.mailFrom.address : "";
  // Without a Message-ID two e-mails cannot be compared: each counts as another.
  const message_id = letter.messageId ? messageId(letter.messageId) : `<${crypto.randomUUID()}@unnamed>`;
  for (const { address } of session.envelope.rcptTo) {
    await storeLetter(sql, {
      message_id,
      delivery: deliveryOf(message_id),
      sender: clean(letter.from?.address ?? sender),
      recipient: address,
      subject: clean(letter.subject ?? ""),
      text: clean(letter.text ?? ""),
      html: letter.html === undefined ? null : clean(letter.html),
    });
  }
}

/** As an index takes it; a longer one is told by its hash. */
function messageId(given: string): string {
  const id = clean(given);
  return id.length <= 500 ? id : `<${createHash("sha256").update(id).digest("hex")}@long>`;
}

/** Postgres takes no NUL. */
function clean(text: string): string {
  return text.replaceAll("\0", "").toWellFormed();
}

import nodemailer, { type Transporter } from "nodemailer";

/** A single address, without characters for header or command injection. */
// deno-lint-ignore no-control-regex
const ADDRESS = /^[^\s\0-\x1f<>()\[\],;:"\\@]+@[^\s\0-\x1f<>()\[\],;:"\\@]+$/;

/**
 * `temporary`: refused for now; `permanent`: refused; `bounced`: the address does not exist; `unclear`: the connection
 * broke after the email was sent, so it may have been accepted.
 */
export type MailFailure = "temporary" | "permanent" | "bounced" | "unclear";

export class MailError extends Error {
  override readonly name = "MailError";
  /** `code`: the enhanced status code (RFC 3463) of a bounce. */
  constructor(message: string, readonly kind: MailFailure, readonly code?: string) {
    super(message);
  }
}

export interface Outgoing {
  to: string;
  subject: string;
  text: string;
  html: string;
  /** `<…@…>`, the same for the same email. */
  messageId: string;
  headers?: Record<string, string>;
}

/** Connections to the mail server, and emails per connection (`docs/limits.md`). */
const CONNECTIONS = 8;
const EMAILS_PER_CONNECTION = 100;

/** Sends emails to a mail server over SMTP, with timeouts. Their content is never logged. */
export class Mailer implements Disposable {
  readonly #transport: Transporter;
  readonly #from: string;
  /** The domain of the sender: for Message-IDs and the SMTP greeting. */
  readonly domain: string;
  /** Message-IDs of emails that the connection has read completely. */
  readonly #handedOver = new Set<string>();

  constructor({ url, from }: { url: string; from: string }) {
    const { protocol, hostname, port, username, password } = new URL(url);
    const secure = protocol === "smtps:";
    this.#from = from;
    this.domain = domainOf(from);
    this.#transport = nodemailer.createTransport({
      host: hostname.replace(/^\[|\]$/g, ""),
      port: port ? Number(port) : secure ? 465 : 587,
      secure,
      name: this.domain,
      ...(username ? { auth: { user: decodeURIComponent(username), pass: decodeURIComponent(password) } } : {}),
      pool: true,
      maxConnections: CONNECTIONS,
      maxMessages: EMAILS_PER_CONNECTION,
      // No automatic retry: an email on a broken connection may have been accepted.
      maxRequeues: 0,
      connectionTimeout: 5_000,
      greetingTimeout: 5_000,
      socketTimeout: 20_000,
      disableFileAccess: true,
      disableUrlAccess: true,
    });
    // The library reports a connection lost after the last byte like one lost before the first. The difference is
    // whether the connection has read the email to its end, which starts after the server's 354.
    this.#transport.use("stream", (mail, done) => {
      const read = mail.message.createReadStream.bind(mail.message);
      const id = String(mail.data.messageId);
      mail.message.createReadStream = (...options) => read(...options).once("end", () => this.#handedOver.add(id));
      done();
    });
  }

  /** Resolves when the server has accepted the email. Throws `MailError`, also when aborted by the signal. */
  async send({ to, subject, text, html, messageId, headers = {} }: Outgoing, signal?: AbortSignal): Promise<void> {
    if (!ADDRESS.test(to)) throw new MailError("The recipient is not one plain address", "permanent");
    const recipient = { name: "", address: to };
    try {
      // Suppresses automatic replies (RFC 3834 §5).
      const email = {
        ...{ from: this.#from, to: recipient, subject, text, html, messageId },
        headers: { "Auto-Submitted": "auto-generated", ...headers },
      };
      await this.#transport.sendMail(signal ? { ...email, signal } : email);
    } catch (error) {
      const { kind, code } = failureOf(error, this.#handedOver.has(messageId));
      throw new MailError(error instanceof Error ? error.message : String(error), kind, code);
    } finally {
      this.#handedOver.delete(messageId);
    }
  }

  [Symbol.dispose](): void {
    this.#transport.close();
  }
}

/** Of `Name <address>` or a plain address. */
function domainOf(sender: string): string {
  return /@([^@<>\s]+)>?\s*$/.exec(sender)?.[1]?.toLowerCase() ?? "localhost.localdomain";
}

/** The library's report of a failure. */
interface SmtpFault {
  responseCode?: number;
  code?: string;
  command?: string;
  response?: string;
}

function failureOf(error: unknown, handedOver: boolean): { kind: MailFailure; code?: string } {
  const { responseCode, code, command, response } = error as SmtpFault;
  // A refused sign-in is a problem of the settings; no email is lost.
  if (code === "EAUTH") return { kind: "temporary" };
  if (responseCode !== undefined && responseCode < 500) return { kind: "temporary" };
  if (responseCode !== undefined) {
    const bounce = command === "MAIL FROM" ? undefined : bounceIn(response ?? "");
    return bounce === undefined ? { kind: "permanent" } : { kind: "bounced", code: bounce };
  }
  if (handedOver) return { kind: "unclear" };
  return { kind: code === "EENVELOPE" ? "permanent" : "temporary" };
}

/**
 * The enhanced status code that says that the address does not exist (RFC 3463 §3.2, §3.3; RFC 7505 for 5.1.10): no
 * such mailbox, no such domain, invalid, moved, or closed. Sender, relay and policy problems have other codes, and a
 * bare 550 is not specific.
 */
function bounceIn(response: string): string | undefined {
  return /^\d{3}[ -](5\.(?:1\.(?:1|2|3|6|10)|2\.1))(?![.\d])/.exec(response)?.[1];
}

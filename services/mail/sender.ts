import nodemailer, { type Transporter } from "nodemailer";

/** One address and nothing that could be read as more (header and command injection). */
// deno-lint-ignore no-control-regex
const ADDRESS = /^[^\s\0-\x1f<>()\[\],;:"\\@]+@[^\s\0-\x1f<>()\[\],;:"\\@]+$/;

/**
 * `temporary`: the server did not take it, and may later; `permanent`: it never will; `bounced`: the address does not exist;
 * `unclear`: the connection broke after the letter was handed over, so it may have been taken.
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
  /** `<…@…>`, the same for the same letter. */
  messageId: string;
  headers?: Record<string, string>;
}

/** Connections to the mail server, and letters one of them carries (`docs/limits.md`). */
const CONNECTIONS = 8;
const LETTERS_A_CONNECTION = 100;

/** Hands letters to a mail server over SMTP, with bounded patience. Never logs what they say. */
export class Mailer implements Disposable {
  readonly #transport: Transporter;
  readonly #from: string;
  /** Of the sender: what Message-IDs end in, and what this client greets with. */
  readonly domain: string;
  /** Letters under way whose connection has read them to their end, by Message-ID. */
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
      maxMessages: LETTERS_A_CONNECTION,
      // A letter on a connection that breaks is ours to judge: it may have been taken.
      maxRequeues: 0,
      connectionTimeout: 5_000,
      greetingTimeout: 5_000,
      socketTimeout: 20_000,
      disableFileAccess: true,
      disableUrlAccess: true,
    });
    // The library tells a connection lost after the last byte exactly as one lost before the first.
    // What tells is whether the connection has read the letter to its end, which it begins after the server's 354.
    this.#transport.use("stream", (mail, done) => {
      const read = mail.message.createReadStream.bind(mail.message);
      const id = String(mail.data.messageId);
      mail.message.createReadStream = (...options) => read(...options).once("end", () => this.#handedOver.add(id));
      done();
    });
  }

  /** Resolves when the server has taken the letter. Throws `MailError`, also where it was broken off by the signal. */
  async send({ to, subject, text, html, messageId, headers = {} }: Outgoing, signal?: AbortSignal): Promise<void> {
    if (!ADDRESS.test(to)) throw new MailError("The recipient is not one plain address", "permanent");
    const recipient = { name: "", address: to };
    try {
      // Nobody's holiday answers to it (RFC 3834 §5).
      const letter = {
        ...{ from: this.#from, to: recipient, subject, text, html, messageId },
        headers: { "Auto-Submitted": "auto-generated", ...headers },
      };
      await this.#transport.sendMail(signal ? { ...letter, signal } : letter);
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

/** Of `Name <address>` or an address alone. */
function domainOf(sender: string): string {
  return /@([^@<>\s]+)>?\s*$/.exec(sender)?.[1]?.toLowerCase() ?? "localhost.localdomain";
}

/** What the library tells of a failure. */
interface SmtpFault {
  responseCode?: number;
  code?: string;
  command?: string;
  response?: string;
}

function failureOf(error: unknown, handedOver: boolean): { kind: MailFailure; code?: string } {
  const { responseCode, code, command, response } = error as SmtpFault;
  // A refused sign-in is a matter of settings; no e-mail is lost over it.
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
 * The enhanced code by which a server says that the address does not exist (RFC 3463 §3.2, §3.3; RFC 7505 for 5.1.10): no such mailbox,
 * no such domain, no valid address, moved, or closed. Sender, relay and policy have other codes, and a bare 550 says nothing of the kind.
 */
function bounceIn(response: string): string | undefined {
  return /^\d{3}[ -](5\.(?:1\.(?:1|2|3|6|10)|2\.1))(?![.\d])/.exec(response)?.[1];
}

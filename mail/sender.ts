import nodemailer from "nodemailer";

/**
 * `temporary`: the server did not take it, and may later; `permanent`: it never will; `unclear`: the connection broke after the
 * letter was handed over, so it may have been taken.
 */
export type MailFailure = "temporary" | "permanent" | "unclear";

export class MailError extends Error {
  override readonly name = "MailError";
  constructor(message: string, readonly kind: MailFailure) {
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
}

/** Hands letters to a mail server over SMTP, with bounded patience. Never logs what they say. */
export class Mailer {
  readonly #transport: ReturnType<typeof nodemailer.createTransport>;

  constructor(private readonly options: { url: string; from: string }) {
    const { protocol, hostname, port, username, password } = new URL(options.url);
    const secure = protocol === "smtps:";
    this.#transport = nodemailer.createTransport({
      host: hostname.replace(/^\[|\]$/g, ""),
      port: port ? Number(port) : secure ? 465 : 587,
      secure,
      ...(username ? { auth: { user: decodeURIComponent(username), pass: decodeURIComponent(password) } } : {}),
      connectionTimeout: 5_000,
      greetingTimeout: 5_000,
      socketTimeout: 20_000,
      disableFileAccess: true,
      disableUrlAccess: true,
    });
  }

  /** Resolves when the server has taken the letter. Throws `MailError`. */
  async send({ to, subject, text, html, messageId }: Outgoing): Promise<void> {
    try {
      await this.#transport.sendMail({
        from: this.options.from,
        to: { name: "", address: to },
        subject,
        text,
        html,
        messageId,
      });
    } catch (error) {
      throw new MailError(error instanceof Error ? error.message : String(error), failureOf(error));
    }
  }

  close(): void {
    this.#transport.close();
  }
}

function failureOf(error: unknown): MailFailure {
  const { responseCode, command, code } = error as { responseCode?: number; command?: string; code?: string };
  if (responseCode !== undefined) return responseCode >= 500 ? "permanent" : "temporary";
  if (code === "EENVELOPE") return "permanent";
  // Until the data was sent nothing was handed over; an error without an answer after it leaves it open.
  return command === "DATA" ||
      (command === undefined && code !== "ECONNECTION" && code !== "ESOCKET" && code !== "EDNS")
    ? "unclear"
    : "temporary";
}

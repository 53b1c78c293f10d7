/**
 * A mail server with failures that a test controls: it reports each step, and may reject, hang or disconnect.
 */
import { createServer, type Socket } from "node:net";
import { freePort } from "./servers.ts";

/** At `END` the client has sent the whole email and waits for the answer. */
export type SmtpStep = "CONNECT" | "EHLO" | "AUTH" | "MAIL" | "RCPT" | "DATA" | "END" | "QUIT";

export interface SmtpMoment {
  step: SmtpStep;
  /** Of the email in progress. */
  to: string | undefined;
  messageId: string | undefined;
}

/** The answer in place of the usual one; null breaks the connection, undefined keeps the usual answer. */
export type SmtpTrick = (moment: SmtpMoment) => string | null | undefined | Promise<string | null | undefined>;

const USUAL: Record<SmtpStep, string> = {
  CONNECT: "220 test",
  EHLO: "250-test\r\n250 AUTH PLAIN",
  AUTH: "235 fine",
  MAIL: "250 fine",
  RCPT: "250 fine",
  DATA: "354 go on",
  END: "250 taken",
  QUIT: "221 bye",
};

export interface TrappedLetter {
  to: string;
  messageId: string;
  /** The raw content with headers. */
  content: string;
}

export class SmtpTrap implements AsyncDisposable {
  /** The lines that clients sent. */
  readonly lines: string[] = [];
  /** Emails that were read completely and accepted, also if the client did not get the answer. */
  readonly taken: TrappedLetter[] = [];
  /** Can be replaced at any time. */
  trick: SmtpTrick = () => undefined;
  readonly #sockets = new Set<Socket>();
  readonly #server = createServer((socket) => this.#serve(socket));
  #port = 0;

  static async open(trick?: SmtpTrick): Promise<SmtpTrap> {
    const trap = new SmtpTrap();
    if (trick) trap.trick = trick;
    await new Promise<void>((resolve) => trap.#server.listen(0, "127.0.0.1", () => resolve()));
    const address = trap.#server.address();
    if (address === null || typeof address === "string") throw new Error("The server has no port");
    trap.#port = address.port;
    return trap;
  }

  get port(): number {
    return this.#port;
  }

  get url(): string {
    return `smtp://127.0.0.1:${this.#port}`;
  }

  /** How often each Message-ID was accepted. */
  counts(): Map<string, number> {
    const counts = new Map<string, number>();
    for (const { messageId } of this.taken) counts.set(messageId, (counts.get(messageId) ?? 0) + 1);
    return counts;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => this.#sockets.delete(socket));
    let buffer = "";
    let to: string | undefined;
    let content: string[] | undefined;
    // One line after another, also if the trick takes long.
    let turn = this.#answer(socket, { step: "CONNECT", to, messageId: undefined });
    const line = async (text: string) => {
      this.lines.push(text);
      if (content) {
        if (text !== ".") return void content.push(text);
        const letter = content.join("\r\n");
        content = undefined;
        const messageId = /^message-id:\s*(<[^>]+>)/im.exec(letter)?.[1] ?? "";
        const took = await this.#answer(socket, { step: "END", to, messageId }, () => {
          this.taken.push({ to: to!, messageId, content: letter });
        });
        if (took) to = undefined;
        return;
      }
      const step = text.slice(0, 4).toUpperCase() as SmtpStep;
      if (step === "RCPT") to = /<([^>]*)>/.exec(text)?.[1];
      const usual = await this.#answer(socket, { step: step in USUAL ? step : "MAIL", to, messageId: undefined });
      if (step === "DATA" && usual) content = [];
      if (step === "QUIT") socket.end();
    };
    socket.on("data", (chunk) => {
      buffer += chunk.toString();
      for (let end; (end = buffer.indexOf("\r\n")) >= 0; buffer = buffer.slice(end + 2)) {
        const text = buffer.slice(0, end);
        turn = turn.then(() => line(text)).then(() => true);
      }
    });
  }

  /**
   * True if the usual answer was sent. `take` is called before the client gets the answer, also if the connection
   * breaks.
   */
  async #answer(socket: Socket, moment: SmtpMoment, take?: () => void): Promise<boolean> {
    const trick = await this.trick(moment);
    const refused = typeof trick === "string" && /^[45]/.test(trick);
    if (!refused) take?.();
    if (trick === null) socket.destroy();
    else if (!socket.destroyed) socket.write(`${trick ?? USUAL[moment.step]}\r\n`);
    return trick === undefined;
  }
}

/** The settings of a node with an external mail server. Its public address is the one it listens at. */
export async function smtpSettings(url: string): Promise<Record<string, string>> {
  const port = String(await freePort());
  return {
    ROLES: "all",
    SMTP_URL: url,
    MAIL_FROM: "Rookery <noreply@rookery.test>",
    PORT: port,
    PUBLIC_URL: `http://127.0.0.1:${port}`,
  };
}

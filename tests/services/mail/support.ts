import { emailsOf, type StoredEmail } from "../../../db/letters.ts";
import { connectPostgres } from "../../../db/postgres.ts";
import type { Sql } from "../../../db/sql.ts";
import { newId } from "../../../lib/ids.ts";
import { freshDatabase } from "../../support/database.ts";

export interface MailDatabase extends AsyncDisposable {
  sql: Sql;
  /** The address for a child process. */
  url: string;
}

/** A database with all tables. */
export async function openMailDatabase(): Promise<MailDatabase> {
  const url = await freshDatabase();
  const sql = connectPostgres(url, { max: 4, applicationName: "test" });
  return { sql, url, [Symbol.asyncDispose]: () => sql[Symbol.asyncDispose]() };
}

/** An account with this confirmed address, as the mail server checks it. Returns its id. */
export async function makeAddressee(sql: Sql, email: string): Promise<string> {
  const id = newId();
  await sql.execute(
    `insert into users (id, login, password_hash, first_name, last_name, email, email_verified_at, page_id, created_at)
    values ($1, $2, '', 'Ann', 'Lee', $3, now(), $1, now())`,
    [id, `p${id.replaceAll("-", "")}`, email],
  );
  return id;
}

/** The mailbox of the owner of this address, newest first. */
export async function inbox(sql: Sql, address: string): Promise<StoredEmail[]> {
  const [row] = await sql.query<{ id: string }>("select id from users where lower(email) = lower($1)", [address]);
  return row ? await emailsOf(sql, { owner: row.id, address, limit: 10 }) : [];
}

export async function countLetters(sql: Sql): Promise<number> {
  return (await sql.query<{ n: number }>("select count(*)::int as n from letters"))[0]!.n;
}

/** Raw SMTP, for input that no client library sends. */
export class RawSmtp implements AsyncDisposable {
  #text = "";
  readonly #decoder = new TextDecoder();

  private constructor(private readonly connection: Deno.Conn) {}

  static async connect(port: number): Promise<RawSmtp> {
    const client = new RawSmtp(await Deno.connect({ hostname: "127.0.0.1", port }));
    await client.reply();
    await client.say("EHLO test");
    return client;
  }

  /** Sends a line and returns the code of the answer. */
  async say(line: string): Promise<number> {
    await this.write(line + "\r\n");
    return await this.reply();
  }

  /** Sends raw email data; returns the code of the last reply. */
  async letter(to: string[], content: string): Promise<number> {
    await this.say("MAIL FROM:<from@example.org>");
    for (const address of to) await this.say(`RCPT TO:<${address}>`);
    await this.say("DATA");
    await this.write(content);
    return await this.say("\r\n.");
  }

  async write(text: string): Promise<void> {
    const bytes = new TextEncoder().encode(text);
    for (let sent = 0; sent < bytes.length;) sent += await this.connection.write(bytes.subarray(sent));
  }

  /** The code of the next complete answer. */
  async reply(): Promise<number> {
    const buffer = new Uint8Array(4096);
    let match;
    while (!(match = /^(?:\d{3}-.*\r\n)*(\d{3})(?: .*)?\r\n/.exec(this.#text))) {
      const size = await this.connection.read(buffer);
      if (size === null) throw new Error(`The server disconnected after ${JSON.stringify(this.#text)}`);
      this.#text += this.#decoder.decode(buffer.subarray(0, size), { stream: true });
    }
    this.#text = this.#text.slice(match[0].length);
    return Number(match[1]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.connection.close();
  }
}

import assert from "node:assert/strict";
import { Log } from "../../../lib/log.ts";
import { type MailServer, startMailServer } from "../../../services/mail/server.ts";
import { connectPostgres } from "../../../db/postgres.ts";
import { countLetters, inbox, type MailDatabase, makeAddressee, openMailDatabase, RawSmtp } from "./support.ts";

/** A server with its own database. */
async function withServer(work: (all: { server: MailServer; database: MailDatabase }) => Promise<void>): Promise<void> {
  await using database = await openMailDatabase();
  await using sql = connectPostgres(database.url, { max: 2 });
  for (const name of ["a", "b", "c"]) await makeAddressee(database.sql, `${name}@example.org`);
  // These tests cause rejections, so these are not logged.
  await using server = await startMailServer(sql, { host: "127.0.0.1", port: 0, log: new Log("error") });
  await work({ server, database });
}

Deno.test("An email over 1 MB is rejected, announced or not, and the connection stays usable", () =>
  withServer(async ({ server, database }) => {
    await using client = await RawSmtp.connect(server.port);
    assert.equal(await client.say("MAIL FROM:<a@example.org> SIZE=1048577"), 552);
    const line = "x".repeat(70) + "\r\n";
    assert.equal(await client.letter(["a@example.org"], "Subject: x\r\n\r\n" + line.repeat(16_000)), 552);
    assert.equal(await countLetters(database.sql), 0);
    assert.equal(await client.letter(["a@example.org"], "Subject: x\r\n\r\nsmall"), 250);
  }));

const MALFORMED: Record<string, string> = {
  "no content": "",
  "NUL in every part": "Message-ID: <n\0ul@test>\r\nSubject: a\0b\r\nFrom: \0\r\n\r\nte\0xt",
  "no headers": "just words without any header\r\n\r\n.x",
  "a broken multipart":
    'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\nContent-Type: multipart/mixed\r\n\r\n--b',
  "a broken encoding": "Subject: =?utf-8?B?////?=\r\nContent-Type: text/plain; charset=none\r\n" +
    "Content-Transfer-Encoding: base64\r\n\r\n%%%%",
  "a Message-ID too long for an index": `Message-ID: <${randomText(9_000)}@test>\r\n\r\nhello`,
  "deep nesting": Array.from(
    { length: 400 },
    (_, i) => `Content-Type: multipart/mixed; boundary="b${i}"\r\n\r\n--b${i}\r\n`,
  ).join(""),
};

for (const [what, letter] of Object.entries(MALFORMED)) {
  Deno.test(`An email with ${what} is answered permanently, and the next one is accepted`, () =>
    withServer(async ({ server }) => {
      await using client = await RawSmtp.connect(server.port);
      const code = await client.letter(["a@example.org"], letter);
      // After a temporary answer the sender would retry for days.
      assert.ok(code === 250 || code >= 500, `answered ${code}`);
      assert.equal(await client.letter(["a@example.org"], "Subject: x\r\n\r\nfine"), 250);
    }));
}

Deno.test("An invalid address is rejected permanently", () =>
  withServer(async ({ server }) => {
    await using client = await RawSmtp.connect(server.port);
    await client.say("MAIL FROM:<a@example.org>");
    assert.ok(await client.say(`RCPT TO:<${randomText(300)}@example.org>`) >= 500);
  }));

Deno.test("A client that disconnects during an email stores nothing", () =>
  withServer(async ({ server, database }) => {
    {
      await using client = await RawSmtp.connect(server.port);
      await client.say("MAIL FROM:<a@example.org>");
      await client.say("RCPT TO:<b@example.org>");
      await client.say("DATA");
      await client.write("Subject: half\r\n\r\nhalf a let");
    }
    await using client = await RawSmtp.connect(server.port);
    assert.equal(await client.letter(["c@example.org"], "Subject: x\r\n\r\nwhole"), 250);
    assert.deepEqual(await inbox(database.sql, "b@example.org"), []);
    assert.equal((await inbox(database.sql, "c@example.org")).length, 1);
  }));

/** Random, so that compression does not bring it below the limits of the database. */
function randomText(length: number): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(length)), (byte) => (byte % 36).toString(36)).join("");
}

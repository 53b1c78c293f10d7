import assert from "node:assert/strict";
import nodemailer from "nodemailer";
import { emailsOf } from "../../../db/letters.ts";
import type { Sql } from "../../../db/sql.ts";
import { Log } from "../../../lib/log.ts";
import { startMailChild } from "../../../workers/children/start_mail.ts";
import { type MailServer, startMailServer } from "../../../services/mail/server.ts";
import { newId } from "../../../lib/ids.ts";
import { sleep } from "../../../lib/sleep.ts";
import { openTestDatabase } from "../../support/database.ts";
import { inbox, makeAddressee, openMailDatabase } from "./support.ts";
import { until } from "../../support/wait.ts";

const log = new Log("error");

async function withServer(work: (send: (letter: Sent) => Promise<string>, sql: Sql) => Promise<void>): Promise<void> {
  await using sql = await openTestDatabase();
  for (const name of ["ann", "bob"]) await makeAddressee(sql, `${name}@example.org`);
  await using server: MailServer = await startMailServer(sql, { host: "127.0.0.1", port: 0, log: new Log("error") });
  const transport = nodemailer.createTransport({ host: "127.0.0.1", port: server.port });
  await work(async ({ to, messageId, raw, text }) => {
    const content = raw ?? `Message-ID: ${messageId}\r\nSubject: Hello\r\n\r\n${text ?? "hello"}\r\n`;
    try {
      await transport.sendMail({ envelope: { from: "rook@example.org", to }, raw: content });
      return "taken";
    } catch (error) {
      return String((error as { responseCode?: number }).responseCode);
    }
  }, sql);
}

interface Sent {
  to: string | string[];
  messageId?: string;
  text?: string;
  raw?: string;
}

Deno.test("Two emails to one address both arrive, newest first, in any case of the address", () =>
  withServer(async (send, sql) => {
    assert.equal(await send({ to: "Bob@Example.org", messageId: "<1@test>", text: "one" }), "taken");
    assert.equal(await send({ to: "bob@example.org", messageId: "<2@test>", text: "two" }), "taken");
    const letters = await inbox(sql, "BOB@example.org");
    assert.deepEqual(letters.map(({ text, to }) => [text.trim(), to]), [
      ["two", "bob@example.org"],
      ["one", "bob@example.org"],
    ]);
  }));

Deno.test("A repeated Message-ID is accepted and dropped; without one each email is separate", () =>
  withServer(async (send, sql) => {
    for (let i = 0; i < 2; i++) assert.equal(await send({ to: "bob@example.org", messageId: "<1@test>" }), "taken");
    assert.equal((await inbox(sql, "bob@example.org")).length, 1);
    for (let i = 0; i < 2; i++) {
      assert.equal(await send({ to: "bob@example.org", raw: "Subject: x\r\n\r\nx\r\n" }), "taken");
    }
    assert.equal((await inbox(sql, "bob@example.org")).length, 3);
  }));

Deno.test("One email to two people is stored for each, and once for a repeated recipient", () =>
  withServer(async (send, sql) => {
    const to = ["bob@example.org", "BOB@example.org", "ann@example.org"];
    assert.equal(await send({ to, messageId: "<1@test>" }), "taken");
    assert.equal((await inbox(sql, "bob@example.org")).length, 1);
    assert.equal((await inbox(sql, "ann@example.org")).length, 1);
  }));

Deno.test("An email belongs to the account it was sent for, or to the one with the confirmed address", () =>
  withServer(async (send, sql) => {
    const ann = (await sql.query<{ id: string }>("select id from users where email = 'ann@example.org'"))[0]!.id;
    const event = newId();
    await sql.execute("insert into deliveries (event_id, user_id, state) values ($1, $2, 'sending')", [event, ann]);
    // To her pending address, and to another person's.
    for (const to of ["new@example.org", "bob@example.org"]) {
      assert.equal(await send({ to, messageId: `<${event}.${ann}@rookery>`, text: "sent for ann" }), "taken");
    }
    assert.equal((await emailsOf(sql, { owner: ann, address: "new@example.org", limit: 9 })).length, 1);
    assert.equal((await emailsOf(sql, { owner: ann, address: "bob@example.org", limit: 9 })).length, 1);
    assert.deepEqual(await inbox(sql, "bob@example.org"), []);
    // An unknown Message-ID has no owner, so nothing is stored.
    const made = `<${newId()}.${ann}@rookery>`;
    assert.equal(await send({ to: "bob@example.org", messageId: made }), "taken");
    assert.equal((await inbox(sql, "bob@example.org")).length, 1);
    assert.equal(await send({ to: "nobody@example.org", messageId: "<1@test>" }), "taken");
    const later = await makeAddressee(sql, "nobody@example.org");
    assert.deepEqual(await emailsOf(sql, { owner: later, address: "nobody@example.org", limit: 9 }), []);
    await sql.execute("update users set email_verified_at = null where id = $1", [later]);
    assert.equal(await send({ to: "nobody@example.org", messageId: "<2@test>" }), "taken");
    assert.deepEqual(await inbox(sql, "nobody@example.org"), []);
  }));

Deno.test("An email over 1 MiB is rejected permanently, and the server continues", () =>
  withServer(async (send, sql) => {
    const text = `${"x".repeat(998)}\r\n`.repeat(1_100);
    assert.equal(await send({ to: "bob@example.org", messageId: "<1@test>", text }), "552");
    assert.equal(await send({ to: "bob@example.org", messageId: "<2@test>" }), "taken");
    assert.equal((await inbox(sql, "bob@example.org")).length, 1);
  }));

Deno.test("An email with a NUL, an unindexable Message-ID or garbage is not retried forever", () =>
  withServer(async (send) => {
    // Random, since Postgres would compress other text below the limit of an index.
    const long = crypto.getRandomValues(new Uint8Array(6_000)).toHex();
    const raws = [
      "Message-ID: <a\0b@test>\r\n\r\nx\r\n",
      `Message-ID: <${long}@test>\r\n\r\nx\r\n`,
      "Message-ID: <1@test>\r\nSubject: a\0b\r\n\r\na\0b\r\n",
      "no headers",
      "\0\u00ff\u00fe",
    ];
    for (const raw of raws) assert.equal(await send({ to: "bob@example.org", raw }), "taken", raw.slice(0, 40));
  }));

Deno.test("Without the database an email is rejected temporarily", async () => {
  const away: Sql = {
    query: () => Promise.reject(new Error("away")),
    execute: () => Promise.reject(new Error("away")),
    script: () => Promise.reject(new Error("away")),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  await using server = await startMailServer(away, { host: "127.0.0.1", port: 0, log: new Log("error") });
  const transport = nodemailer.createTransport({ host: "127.0.0.1", port: server.port });
  await assert.rejects(
    transport.sendMail({ envelope: { from: "a@example.org", to: "b@example.org" }, raw: "Subject: x\r\n\r\nx" }),
    { responseCode: 451 },
  );
});

Deno.test("The mail process restarts on its port, ends when closed and gets no secret of its parent", async () => {
  await using database = await openMailDatabase();
  const { sql } = database;
  await makeAddressee(sql, "b@example.org");
  Deno.env.set("ADMIN_PASSWORD", "Passw0rd!");
  try {
    const child = await startMailChild({ log, port: 0, databaseUrl: database.url });
    const send = (messageId: string) =>
      nodemailer.createTransport(child.url).sendMail({
        envelope: { from: "a@example.org", to: "b@example.org" },
        raw: `Message-ID: ${messageId}\r\n\r\nhello\r\n`,
      });
    await send("<1@test>");
    const [first] = mailProcesses(Deno.pid);
    assert.ok(first);
    assert.ok(!Deno.readTextFileSync(`/proc/${first}/environ`).includes("ADMIN_PASSWORD"));
    Deno.kill(first, "SIGKILL");
    await until("it is sent", () => send("<2@test>").then(() => true, () => false));
    assert.equal((await inbox(sql, "b@example.org")).length, 2);
    // Closed in the pause before a restart: no process starts after that.
    Deno.kill(mailProcesses(Deno.pid)[0]!, "SIGKILL");
    await sleep(50);
    await child[Symbol.asyncDispose]();
    await sleep(1_000);
    assert.deepEqual(mailProcesses(Deno.pid), []);
  } finally {
    Deno.env.delete("ADMIN_PASSWORD");
  }
});

Deno.test("A parent killed by SIGKILL leaves no mail process", async () => {
  const program = `
    import { startMailChild } from ${
    JSON.stringify(new URL("../../../workers/children/start_mail.ts", import.meta.url).href)
  };
    import { Log } from ${JSON.stringify(new URL("../../../lib/log.ts", import.meta.url).href)};
    const databaseUrl = "postgres://nobody@localhost/none?host=%2Fnowhere";
    await startMailChild({ log: new Log("error"), port: 0, databaseUrl });
    console.log("up");
    setInterval(() => {}, 1000);`;
  const file = await Deno.makeTempFile({ suffix: ".ts" });
  await Deno.writeTextFile(file, program);
  const config = new URL("../../../deno.json", import.meta.url).pathname;
  const parent = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", "--config", config, file],
    stdout: "piped",
    stdin: "null",
  }).spawn();
  const reader = parent.stdout.getReader();
  await reader.read();
  const [orphan] = mailProcesses(parent.pid);
  assert.ok(orphan);
  parent.kill("SIGKILL");
  await parent.status;
  await reader.cancel();
  await until("the orphan has ended", () => !isAlive(orphan));
  await Deno.remove(file);
});

function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(Deno.readTextFileSync(`/proc/${pid}/status`));
  } catch {
    return false;
  }
}

/** Children of a process that run the mail server. Linux only, like other tests that kill processes. */
function mailProcesses(parent: number): number[] {
  return [...Deno.readDirSync("/proc")].map(({ name }) => Number(name)).filter((pid) => {
    try {
      return pid > 0 && isAlive(pid) &&
        Deno.readTextFileSync(`/proc/${pid}/cmdline`).includes("workers/children/mail.ts") &&
        new RegExp(`^PPid:\\s+${parent}$`, "m").test(Deno.readTextFileSync(`/proc/${pid}/status`));
    } catch {
      return false;
    }
  });
}

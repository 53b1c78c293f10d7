import assert from "node:assert/strict";
import type { DeliveryState } from "../../../db/deliveries.ts";
import type { Sql } from "../../../db/sql.ts";
import { layOut } from "../../../jobs/email/layout.ts";
import { codeEmail } from "../../../jobs/email/code_email.ts";
import { emailJobs } from "../../../jobs/email/email_jobs.ts";
import { type Notice, noticeEmail } from "../../../jobs/email/notice_email.ts";
import { Mailer } from "../../../services/mail/sender.ts";
import { codeFor } from "../../../security/codes.ts";
import { Log } from "../../../lib/log.ts";
import { newId } from "../../../lib/ids.ts";
import { JobParked } from "../../../jobs/kind.ts";
import { type SmtpStep, SmtpTrap } from "../../support/smtp_trap.ts";
import { openMailDatabase } from "./support.ts";

const KEY = new Uint8Array(32);
const USER = newId();
const database = await openMailDatabase();
const { sql } = database;
const mailers: Mailer[] = [];
Deno.test.afterAll(() => mailers.forEach((mailer) => mailer[Symbol.dispose]()));
Deno.test.afterAll(async () => await database[Symbol.asyncDispose]());
await sql.execute(
  `insert into users (id, login, password_hash, first_name, last_name, email, page_id, created_at, verify_nonce)
  values ($1, 'ann', '', 'Ann', 'Lee', 'ann@example.org', $1, now(), 'n')`,
  [USER],
);

for (const purpose of ["verify", "recover"] as const) {
  Deno.test(`The code is the only word of its form in a ${purpose} email, which has its validity`, () => {
    const { text, html } = codeEmail(purpose, "A1B2C3D4");
    for (const part of [text, html]) {
      assert.deepEqual(part.match(/\b[A-Z0-9]{8}\b/g), ["A1B2C3D4"]);
      assert.match(part, /30 minutes/);
    }
  });
}

Deno.test("A notice has the event and its time, and escapes the device's name", () => {
  const notices: Notice[] = [
    { notice: "new_device", device: "<script>Firefox</script>", at: "2026-01-02T03:04:05.000Z" },
    { notice: "password_changed", at: "2026-01-02T03:04:05.000Z" },
    { notice: "email_change_asked", at: "2026-01-02T03:04:05.000Z" },
    { notice: "email_changed", at: "2026-01-02T03:04:05.000Z" },
  ];
  const letters = notices.map(noticeEmail);
  for (const { text, html } of letters) for (const part of [text, html]) assert.match(part, /2026-01-02 03:04 UTC/);
  assert.equal(new Set(letters.map(({ subject }) => subject)).size, 4);
  assert.ok(letters[0]!.text.includes("<script>Firefox</script>") && !letters[0]!.html.includes("<script>"));
});

Deno.test("An email job sends the code of its nonce, once", async () => {
  const { trap, outcome, state, repeat } = await run({});
  assert.deepEqual([outcome, state, trap.taken.length], ["done", "sent", 1]);
  const [letter] = trap.taken;
  assert.equal(letter!.to, "ann@example.org");
  assert.ok(letter!.content.includes(codeFor(KEY, { purpose: "verify", user: USER, address: "ann@example.org" }, "n")));
  assert.equal((await repeat()).outcome, "done", "the job is done although its claim was lost after the delivery");
  assert.equal(trap.taken.length, 1);
  await trap[Symbol.asyncDispose]();
});

Deno.test("An email job sends no invalid code", async () => {
  await using _ = disposing(await run({ nonce: "old" }), ({ trap, outcome, state }) => {
    assert.deepEqual([outcome, state, trap.taken.length], ["done", undefined, 0]);
  });
});

Deno.test("An email job sends no code to a former address", async () => {
  await using _ = disposing(await run({ to: "old@example.org" }), ({ trap, outcome, state }) => {
    assert.deepEqual([outcome, state, trap.taken.length], ["done", undefined, 0]);
  });
});

const OUTCOMES: [at: SmtpStep, answer: string | null, bundled: boolean, outcome: string, state: DeliveryState][] = [
  ["RCPT", "451 later", true, "again", "due"],
  ["RCPT", "451 later", false, "again", "due"],
  ["DATA", null, false, "again", "due"],
  ["END", "451 later", false, "again", "due"],
  ["END", "554 no", true, "dead", "failed"],
  ["END", "554 no", false, "dead", "failed"],
  ["RCPT", "550 5.1.1 nobody", false, "done", "failed"],
  ["END", null, true, "again", "sending"],
  ["END", null, false, "unknown", "unknown"],
];
for (const [at, answer, bundled, outcome, state] of OUTCOMES) {
  const server = bundled ? "the bundled server" : "another server";
  const name = `An email that ${server} answers with ${answer ?? "a broken connection"} at ${at}: ${outcome}`;
  Deno.test(name, async () => {
    await using _ = disposing(await run({ bundled, trick: [at, answer] }), (ended) => {
      assert.deepEqual([ended.outcome, ended.state], [outcome, state]);
    });
  });
}

Deno.test("An email interrupted by a crash during its delivery is repeated with the bundled server only", async () => {
  await using _ = disposing(await run({ left: "sending", bundled: true }), ({ trap, outcome, state }) => {
    assert.deepEqual([outcome, state, trap.taken.length], ["done", "sent", 1]);
  });
  await using _other = disposing(await run({ left: "sending", bundled: false }), ({ trap, outcome, state }) => {
    assert.deepEqual([outcome, state, trap.taken.length], ["unknown", "unknown", 0]);
  });
});

Deno.test("An email interrupted by a crash before its delivery is sent with any server", async () => {
  await using _ = disposing(await run({ left: "due", bundled: false }), ({ outcome, state }) => {
    assert.deepEqual([outcome, state], ["done", "sent"]);
  });
});

Deno.test("A missing mailbox gets requested codes but no notices, and both again after it accepts one", async () => {
  const notice: Notice = { notice: "password_changed", at: "2026-01-02T03:04:05.000Z" };
  await using _bounced = disposing(await run({ trick: ["RCPT", "550 5.1.1 nobody"] }), () => {});
  await using _notice = disposing(await run({ notice }), ({ trap, outcome }) => {
    assert.deepEqual([outcome, trap.taken.length], ["done", 0]);
  });
  await using _code = disposing(await run({}), ({ trap }) => assert.equal(trap.taken.length, 1));
  await using _again = disposing(await run({ notice }), ({ trap }) => assert.equal(trap.taken.length, 1));
});

interface Case {
  bundled?: boolean;
  nonce?: string;
  notice?: Notice;
  to?: string;
  trick?: [at: SmtpStep, answer: string | null];
  /** The state that an earlier attempt left in `deliveries`. */
  left?: DeliveryState;
}

async function run({ bundled = true, nonce = "n", to = "ann@example.org", notice, trick, left }: Case) {
  const trap = await SmtpTrap.open(({ step }) => step === trick?.[0] ? trick[1] : undefined);
  const mailer = new Mailer({ url: trap.url, from: "rook@example.org" });
  mailers.push(mailer);
  const parts = { sql, mailer, bundled, codeKey: KEY, log: new Log("error") };
  const id = newId();
  if (left) {
    await sql.execute("insert into deliveries (event_id, user_id, state) values ($1, $2, $3)", [id, USER, left]);
  }
  const payload = notice ? { notice } : { letter: "verify", nonce };
  const job = {
    id,
    kind: "letter",
    payload: { user_id: USER, to, ...payload },
    attempts: 1,
    abandoned: false,
  };
  const attempt = async () => {
    try {
      await emailJobs(parts)["letter"]!.run(job, new AbortController().signal);
      return { outcome: "done" };
    } catch (error) {
      return { outcome: error instanceof JobParked ? error.state : "again" };
    }
  };
  const { outcome } = await attempt();
  return { trap, outcome, state: await stateOf(sql, id), repeat: attempt };
}

async function stateOf(sql: Sql, event: string): Promise<string | undefined> {
  const [row] = await sql.query<{ state: string }>("select state from deliveries where event_id = $1", [event]);
  return row?.state;
}

function disposing<Ended extends { trap: SmtpTrap }>(ended: Ended, judge: (ended: Ended) => void): AsyncDisposable {
  judge(ended);
  return ended.trap;
}

Deno.test("A subject is one line without direction marks", () => {
  const { subject } = layOut("Savings\u202e\r\nBcc: x\u0007: \u2067a post", []);
  assert.equal(subject, "Savings Bcc: x : a post");
});

import assert from "node:assert/strict";
import type { Sql } from "../../db/sql.ts";
import { letterJob } from "../../mail/letter_job.ts";
import { codeLetter } from "../../mail/letters.ts";
import { type Mailer, MailError, type MailFailure, type Outgoing } from "../../mail/sender.ts";
import { codeFor } from "../../security/codes.ts";
import { JobParked } from "../../workers/job_runner.ts";

const KEY = new Uint8Array(32);
const PAYLOAD = { letter: "verify", user_id: "u", nonce: "n", to: "a@example.org" };

for (const purpose of ["verify", "recover"] as const) {
  Deno.test(`The code is the only word of its form in a ${purpose} letter, which says how long it holds`, () => {
    const { text, html } = codeLetter(purpose, "A1B2C3D4");
    for (const part of [text, html]) {
      assert.deepEqual(part.match(/\b[A-Z0-9]{8}\b/g), ["A1B2C3D4"]);
      assert.match(part, /30 minutes/);
    }
  });
}

Deno.test("A letter's job sends the code that its nonce stands for", async () => {
  const { sent, outcome } = await run({});
  assert.equal(outcome, "done");
  assert.equal(sent.length, 1);
  assert.equal(sent[0]!.to, "a@example.org");
  assert.ok(sent[0]!.text.includes(codeFor(KEY, "verify", "u", "n")));
});

Deno.test("A letter's job sends no code that is void", async () => {
  assert.deepEqual(await run({ inForce: false }), { sent: [], outcome: "done" });
});

const OUTCOMES: [failure: MailFailure, bundled: boolean, outcome: string][] = [
  ["temporary", true, "again"],
  ["temporary", false, "again"],
  ["permanent", true, "dead"],
  ["permanent", false, "dead"],
  ["unclear", true, "again"],
  ["unclear", false, "unknown"],
];
for (const [failure, bundled, outcome] of OUTCOMES) {
  Deno.test(`A letter whose hand-over to ${bundled ? "the bundled" : "another"} server is ${failure}: ${outcome}`, async () => {
    assert.equal((await run({ failure, bundled })).outcome, outcome);
  });
}

Deno.test("A letter's job that a crash left running is repeated with the bundled server only", async () => {
  assert.equal((await run({ state: "abandoned", bundled: true })).sent.length, 1);
  assert.deepEqual(await run({ state: "abandoned", bundled: false }), { sent: [], outcome: "unknown" });
});

interface Case {
  failure?: MailFailure;
  bundled?: boolean;
  inForce?: boolean;
  state?: "fresh" | "abandoned";
}

async function run({ failure, bundled = true, inForce = true, state = "fresh" }: Case) {
  const sent: Outgoing[] = [];
  const mailer = {
    async send(letter: Outgoing) {
      if (failure) throw new MailError("it failed", failure);
      sent.push(letter);
    },
  } as Pick<Mailer, "send"> as Mailer;
  const sql = { query: async () => inForce ? [{}] : [] } as Partial<Sql> as Sql;
  const job = letterJob({ mailer, codeKey: KEY, bundled, sql });
  try {
    await job({ id: "j", kind: "letter", payload: PAYLOAD, attempts: 1, state });
    return { sent, outcome: "done" };
  } catch (error) {
    return { sent, outcome: error instanceof JobParked ? error.state : "again" };
  }
}

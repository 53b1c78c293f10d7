/** Emails to followers during failures: each follower gets one, or the record says "unknown". */
import assert from "node:assert/strict";
import { sleep } from "../../lib/sleep.ts";
import { NodeProcess } from "../support/node_process.ts";
import { makePeople, type Person } from "../support/person.ts";
import { makeFollowers } from "../support/followers.ts";
import { seededTest } from "../support/seeded.ts";
import { type SmtpMoment, smtpSettings, SmtpTrap } from "../support/smtp_trap.ts";
import { until } from "../support/wait.ts";

interface Ledger {
  user_id: string;
  email: string;
  state: string;
}

async function ledger(node: NodeProcess, post: string): Promise<Ledger[]> {
  return await node.sql.query<Ledger>(
    "select d.user_id, u.email, d.state from deliveries d join users u on u.id = d.user_id where d.event_id = $1",
    [post],
  );
}

/** Ends pauses between attempts and leases of dead processes at once. */
async function hurry(node: NodeProcess): Promise<void> {
  await node.sql.execute(
    `update jobs set run_at = now()
      where state = 'waiting' and run_at > now() and kind in ('post.letter', 'post.letters')`,
  );
}

/** Waits until no email job is left. */
async function finished(node: NodeProcess): Promise<void> {
  await until("no email jobs are left", async () => {
    await hurry(node);
    const [row] = await node.sql.query<{ left: number }>(
      `select (select count(*) from jobs
          where kind in ('post.letter', 'post.letters') and state in ('waiting', 'running'))
        + (select count(*) from events
          where kind = 'post.created' and seq > (select seq from consumers where name = 'notifications'))
        as left`,
    );
    return row!.left === 0;
  }, { timeoutMs: 120_000, everyMs: 100 });
}

/** Each follower got one email, or the delivery is marked unknown. */
async function judge(node: NodeProcess, trap: SmtpTrap, post: string, followers: readonly string[]): Promise<void> {
  const states = new Map((await ledger(node, post)).map(({ email, user_id, state }) => [email, { user_id, state }]));
  const counts = trap.counts();
  assert.equal(states.size, followers.length, "every follower has a delivery");
  let unknown = 0;
  for (const email of followers) {
    const { user_id, state } = states.get(email)!;
    const got = counts.get(`<${post}.${user_id}@rookery.test>`) ?? 0;
    if (state === "sent") assert.equal(got, 1, `${email} has one email`);
    else {
      assert.equal(state, "unknown", email);
      assert.ok(got <= 1, `${email} has ${got} letters`);
      unknown++;
    }
  }
  const [parked] = await node.sql.query<{ n: number }>("select count(*) as n from jobs where state = 'unknown'");
  assert.equal(parked!.n, unknown, "operators see every unknown delivery");
  for (const { to } of trap.taken) assert.ok(!to.includes(","), "no email shows another address");
}

seededTest(
  "With a mail server that rejects, breaks and hangs, each email is delivered once or marked unknown",
  async (random) => {
    const tricks: Record<string, string | null> = {
      RCPT: "451 4.7.1 later",
      DATA: null,
      END: null,
      MAIL: "421 4.3.2 closing",
      CONNECT: "421 too many",
    };
    await using trap = await SmtpTrap.open();
    await using node = await NodeProcess.start({ env: await smtpSettings(trap.url) });
    const [ann] = await makePeople(node, 1) as [Person];
    const followers = await makeFollowers(node.sql, ann.page_id, 80);
    trap.trick = async ({ step }) => {
      const roll = random.next();
      if (roll < 0.1) await sleep(roll * 2_000);
      if (roll > 0.92 && step in tricks) return tricks[step];
      // Accepted or rejected while the connection breaks.
      if (roll > 0.9 && step === "END") return "451 4.3.0 later";
    };
    const post = await ann.post("to everybody");
    await finished(node);
    await judge(node, trap, post.id, followers);
  },
);

/** Kills the node at the n-th step of a kind, and restarts it. */
const STEPS: [name: string, nth: number, fits: (moment: SmtpMoment) => boolean, answered: boolean][] = [
  ["before the recipient of an email is sent", 3, ({ step }) => step === "MAIL", false],
  ["before an email is sent", 5, ({ step }) => step === "DATA", false],
  ["after an email was sent, before the answer", 7, ({ step }) => step === "END", false],
  ["with the answer", 6, ({ step }) => step === "END", true],
  ["with the acceptance of a recipient", 4, ({ step }) => step === "RCPT", true],
];
Deno.test("Killed at each step of a delivery, each follower gets one email or it is marked unknown", async () => {
  await using trap = await SmtpTrap.open();
  await using node = await NodeProcess.start({ env: await smtpSettings(trap.url) });
  const [ann] = await makePeople(node, 1) as [Person];
  const followers = await makeFollowers(node.sql, ann.page_id, 150);
  let killed: Promise<void> | undefined;
  const arm = ([, nth, fits, answered]: typeof STEPS[number]) => {
    let seen = 0;
    killed = undefined;
    trap.trick = (moment) => {
      if (killed || !fits(moment) || ++seen < nth) return undefined;
      killed = node.kill();
      return answered ? undefined : killed.then(() => null);
    };
  };
  arm(STEPS[0]!);
  const post = (await ann.post("to everybody")).id;
  for (const [i, [name]] of STEPS.entries()) {
    await until(`it was killed ${name}`, () => killed !== undefined);
    await killed;
    // None until then, so that emails are left for the next step.
    const armed = Promise.withResolvers<void>();
    trap.trick = async ({ step }) => {
      if (step === "MAIL") await armed.promise;
      return undefined;
    };
    await node.restart();
    // The killed process holds its claims; the test does not wait for their end.
    await node.sql.execute("update jobs set lease_until = now() where state = 'running'");
    const next = STEPS[i + 1];
    if (next) arm(next);
    else trap.trick = () => undefined;
    armed.resolve();
  }
  await finished(node);
  await judge(node, trap, post, followers);
  const unknown = (await ledger(node, post)).filter(({ state }) => state === "unknown").length;
  assert.ok(unknown > 0, "a delivery without an answer is left unknown");
});

Deno.test("A node stopped while a mail server hangs ends in time, and the next one sends its emails", async () => {
  await using trap = await SmtpTrap.open();
  await using node = await NodeProcess.start({ env: await smtpSettings(trap.url) });
  const [ann] = await makePeople(node, 1) as [Person];
  const followers = await makeFollowers(node.sql, ann.page_id, 30);
  const hanging = Promise.withResolvers<undefined>();
  let begun = 0;
  trap.trick = ({ step }) => {
    if (step !== "RCPT") return undefined;
    begun++;
    return hanging.promise;
  };
  const post = await ann.post("to everybody");
  await until("emails are in progress", () => begun > 0);
  const { code, ms } = await node.stop();
  assert.ok(code === 0 && ms < 10_000, `it ended with ${code} after ${Math.round(ms)} ms`);
  hanging.resolve(undefined);
  trap.trick = () => undefined;
  await node.restart();
  await finished(node);
  await judge(node, trap, post.id, followers);
  const left = (await ledger(node, post.id)).filter(({ state }) => state !== "sent");
  assert.deepEqual(left, [], "none of them was delivered before");
});

Deno.test("A node killed while it expands a post to a thousand followers delivers one email to each", async () => {
  await using node = await NodeProcess.start();
  const [ann] = await makePeople(node, 1) as [Person];
  const followers = await makeFollowers(node.sql, ann.page_id, 1_200);
  const post = (await ann.post("to everybody")).id;
  for (const part of [1, 400, 501, 900]) {
    await until(`${part} deliveries`, async () => (await ledger(node, post)).length >= part, { everyMs: 5 });
    await node.kill();
    await node.restart();
    await node.sql.execute("update jobs set lease_until = now() where state = 'running'");
  }
  await finished(node);
  const states = await ledger(node, post);
  assert.deepEqual([...new Set(states.map(({ state }) => state))], ["sent"]);
  const letters = await node.sql.query<{ recipient: string; n: number }>(
    "select recipient, count(*) as n from letters where message_id like $1 group by recipient",
    [`<${post}.%`],
  );
  assert.deepEqual(letters.map(({ recipient }) => recipient).sort(), followers.sort());
  assert.ok(letters.every(({ n }) => n === 1));
});

import assert from "node:assert/strict";
import type { UserCommand, UserState } from "../../actors/user_commands.ts";
import type { ActingAccount } from "../../actors/moderator.ts";
import { CODE_PAUSE_MS, CODE_WINDOW_MS, MAX_CODES, MAX_GUESSES } from "../../actors/user_codes.ts";
import { MAX_EMAIL_CHANGES } from "../../actors/user_profile.ts";
import { REFRESH_GRACE_MS } from "../../actors/user_sessions.ts";
import type { RegisterRow } from "../../db/users.ts";
import { outcomeOf, refusalOf, rowOf, stateAfter, word } from "../support/decisions.ts";

import {
  ACTIVE,
  at,
  block,
  by,
  change,
  CODE,
  codeFields,
  codeOf,
  decide,
  ID,
  NOW,
  own,
  profile,
  refresh,
  SESSION,
  signIn,
  STATES,
  verify,
} from "../support/user_decisions.ts";

Deno.test("UserActor returns the same pair for a used refresh token for 10 seconds, then ends the session", () => {
  const refreshed = stateAfter(decide(ACTIVE, refresh))!;
  assert.deepEqual(refreshed.session, { id: SESSION.id, generation: 4, issued_at: at(0), kid: "k2" });
  assert.deepEqual(decide(refreshed, refresh, NOW + REFRESH_GRACE_MS), {
    type: "reply",
    value: { session: refreshed.session },
  });
  const late = decide(refreshed, refresh, NOW + REFRESH_GRACE_MS + 1);
  assert.deepEqual([rowOf(late).reason, refusalOf(late, {})], ["token-reused", "token-reused"]);
  assert.equal(stateAfter(late)!.session, null);
  // Its successor was used already, so the session ends at once.
  const twice = stateAfter(decide(refreshed, { ...refresh, generation: 4 }))!;
  assert.equal(rowOf(decide(twice, refresh)).reason, "token-reused");
});

Deno.test("UserActor keeps the time of the first exchange, however often the token is reused", () => {
  const refreshed = stateAfter(decide(ACTIVE, refresh))!;
  decide(refreshed, refresh, NOW + 9_000);
  assert.equal(word(decide(refreshed, refresh, NOW + 18_000)), "commit session.end");
});

Deno.test("UserActor counts wrong guesses until none is left, and a new code resets the count", () => {
  let state = STATES.unverified as UserState;
  for (let i = 0; i < MAX_GUESSES; i++) {
    const guess = decide(state, { ...verify, code: "WRONG000" });
    assert.equal(refusalOf(guess, {}), "code-invalid");
    state = stateAfter(guess)!;
  }
  assert.equal(word(decide(state, verify)), "refuse code-exhausted");
  const sent = decide(state, { type: "send_code", ...codeFields });
  assert.equal(rowOf(sent).to, "ada@example.org");
  state = stateAfter(sent)!;
  assert.deepEqual(state.verify, { nonce: "n2", expires_at: codeFields.expires_at, attempts: 0 });
  assert.equal(word(decide(state, verify)), "commit user.count_guess");
});

Deno.test("UserActor keeps a new email pending until its code, and cancels it when the old one is given", () => {
  const changed = decide(ACTIVE, { ...profile, email: "new@example.org" });
  assert.deepEqual([rowOf(changed).pending_email, rowOf(changed).to], ["new@example.org", "new@example.org"]);
  const pending = stateAfter(changed, {})!;
  assert.deepEqual([pending.email, pending.pending_email], ["ada@example.org", "new@example.org"]);
  const verified = decide(pending, { ...verify, code: codeOf("verify", "new@example.org", "n2") });
  const done = stateAfter(verified)!;
  assert.deepEqual([done.email, done.pending_email, done.verify], ["new@example.org", null, null]);
  assert.equal(done.email_verified_at, ACTIVE.email_verified_at);
  const withdrawn = stateAfter(decide(pending, { ...profile, email: "ADA@example.org" }), {})!;
  assert.deepEqual([withdrawn.pending_email, withdrawn.verify], [null, null]);
});

Deno.test("UserActor sends the proven address a notice of a requested change, and none of its withdrawal", () => {
  const asked = decide(ACTIVE, { ...profile, email: "new@example.org" });
  assert.deepEqual([rowOf(asked).notice_to, rowOf(asked).notice_job], [ACTIVE.email, "j2"]);
  assert.deepEqual((outcomeOf(asked, {}) as { jobs: readonly { id: string }[] }).jobs.map(({ id }) => id), ["j", "j2"]);
  assert.equal(rowOf(decide(stateAfter(asked, {})!, { ...profile, email: ACTIVE.email })).notice_to, null);
  assert.equal(rowOf(decide(ACTIVE, { ...profile, first_name: "Grace" })).notice_to, null);
  const unproven = { ...ACTIVE, email_verified_at: null };
  assert.equal(rowOf(decide(unproven, { ...profile, email: "new@example.org" })).notice_to, null);
});

Deno.test("UserActor invalidates codes at a new password, and those to the old address at a new one", () => {
  const both = { ...STATES["email pending"], recover: CODE };
  const changed = stateAfter(decide(both, { ...change, pending_email: "new@example.org" }))!;
  assert.deepEqual([changed.verify, changed.recover], [null, null]);
  const proven = stateAfter(decide(both, { ...verify, code: codeOf("verify", "new@example.org") }))!;
  assert.deepEqual([proven.email, proven.verify, proven.recover], ["new@example.org", null, null]);
});

for (const type of ["send_code", "recover"] as const) {
  const purpose = type === "recover" ? "recover" : "verify";
  Deno.test(`UserActor sends one code a minute and five an hour on ${type}, and again after the hour`, () => {
    let state = STATES.unverified as UserState;
    const ask = (ms: number) => {
      const decision = decide(state, { type, ...codeFields }, NOW + ms);
      if (word(decision) !== "commit user.send_code") return word(decision);
      state = stateAfter(decision)!;
      return "sent";
    };
    const no = type === "recover" ? "reply" : "refuse rate-limited";
    const before = () => state[purpose];
    assert.equal(ask(0), "sent");
    const sent = before();
    assert.equal(ask(CODE_PAUSE_MS - 1), no);
    assert.equal(before(), sent, "the code that was sent stays valid");
    for (let i = 1; i < MAX_CODES; i++) assert.equal(ask(i * CODE_PAUSE_MS), "sent");
    assert.equal(ask(MAX_CODES * CODE_PAUSE_MS), no);
    assert.equal(ask(CODE_WINDOW_MS - 1), no);
    assert.equal(ask(CODE_WINDOW_MS), "sent");
    assert.equal(ask(CODE_WINDOW_MS + CODE_PAUSE_MS - 1), no);
    assert.equal(ask(CODE_WINDOW_MS + CODE_PAUSE_MS), "sent");
    assert.equal(state.asked[purpose].length, MAX_CODES);
  });
}

Deno.test("UserActor lets an owner change the email ten times an hour, and an administrator without limit", () => {
  let state = ACTIVE;
  const ask = (i: number, who: ActingAccount = own) =>
    decide(state, { ...profile, by: who, email: `new${i}@example.org` }, NOW + i);
  for (let i = 0; i < MAX_EMAIL_CHANGES; i++) state = stateAfter(ask(i), {})!;
  assert.equal(word(ask(11)), "refuse rate-limited");
  assert.equal(word(ask(11, by)), "commit user.update_profile");
  assert.equal(word(ask(CODE_WINDOW_MS)), "commit user.update_profile");
});

Deno.test("UserActor records before and after of an administrator's change of another profile only", () => {
  const named = rowOf(decide(ACTIVE, { ...profile, by, first_name: "Grace" }));
  assert.deepEqual([named.before, named.after, named.by_id, named.login], [
    { first_name: "Ada", last_name: "Lovelace" },
    { first_name: "Grace", last_name: "Lovelace" },
    by.id,
    "ada",
  ]);
  const moved = rowOf(decide(ACTIVE, { ...profile, by, email: "new@example.org" }));
  assert.deepEqual([(moved.before as UserState).pending_email, (moved.after as UserState).pending_email], [
    null,
    "new@example.org",
  ]);
  assert.equal(rowOf(decide(ACTIVE, { ...profile, by, first_name: "Ada" })).after, null, "nothing changes");
  assert.equal(rowOf(decide(ACTIVE, { ...profile, first_name: "Grace" })).after, null);
  const photo = { id: "p", key: "k2", staged_key: "s", name: "a.png", alt: null };
  const pictured = rowOf(decide(ACTIVE, { type: "stage_avatar", by, photo }));
  assert.deepEqual([pictured.before, pictured.after], [{ avatar_url: null }, { avatar_url: "/api/v1/photos/k2" }]);
  assert.equal(rowOf(decide(ACTIVE, { type: "stage_avatar", by: own, photo })).after, null);
  assert.equal(rowOf(decide({ ...ACTIVE, avatar_key: "k" }, { type: "remove_avatar", by: own })).after, null);
  assert.ok(rowOf(decide({ ...ACTIVE, avatar_key: "k" }, { type: "remove_avatar", by })).after);
});

Deno.test("UserActor sends no code when a profile changes without its email", () => {
  const renamed = decide(STATES.unverified, { ...profile, first_name: "Grace" });
  assert.deepEqual([rowOf(renamed).to, rowOf(renamed).renamed, rowOf(renamed).nonce], [null, true, CODE.nonce]);
  assert.deepEqual(stateAfter(renamed, {})!.verify, CODE);
  assert.equal(rowOf(decide(ACTIVE, { ...profile, first_name: "Ada" })).renamed, false);
});

for (
  const command of [
    signIn,
    change,
    block,
    { type: "sign_out", sid: SESSION.id },
  ] satisfies UserCommand[]
) {
  Deno.test(`UserActor ends the previous session on ${command.type}`, () => {
    const after = stateAfter(decide(ACTIVE, command), { last_admin: false })!;
    assert.notEqual(after.session?.id, SESSION.id);
  });
}

for (const command of [{ type: "set_role", by, role: "user" }, block, { type: "delete", by }] satisfies UserCommand[]) {
  Deno.test(`UserActor protects the last administrator from ${command.type}, and stays unchanged`, () => {
    const decision = decide({ ...ACTIVE, role: "admin" }, command);
    assert.equal(refusalOf(decision, { last_admin: true }), "last-admin");
    assert.equal(outcomeOf(decision, { last_admin: true }).state, undefined);
  });
}

Deno.test("UserActor records actor and reason, and no actor for the system", () => {
  const reasoned = { by, reason: "spam" };
  const commands: UserCommand[] = [
    { type: "set_role", role: "user", ...reasoned },
    block,
    { type: "unblock", ...reasoned },
    { type: "delete", ...reasoned },
  ];
  for (const command of commands) {
    const { by_id, by_role, reason } = rowOf(decide(ACTIVE, command));
    assert.deepEqual([by_id, by_role, reason], [by.id, "admin", "spam"], command.type);
  }
  assert.equal(rowOf(decide(ACTIVE, { type: "delete", by })).reason, null);
  assert.equal(rowOf(decide(STATES.unverified, { type: "expire" })).by_id, null);
});

Deno.test("UserActor sends security notices to the previous address if it was proven", () => {
  for (const command of [signIn, change]) {
    assert.equal(rowOf(decide(ACTIVE, command)).to, ACTIVE.email);
    assert.equal(
      rowOf(decide({ ...ACTIVE, email_verified_at: null }, command)).to,
      null,
      "an address that was never confirmed gets no notice",
    );
  }
  const proven = decide(STATES["email pending"], { ...verify, code: codeOf("verify", "new@example.org") });
  assert.equal(rowOf(proven).to, STATES["email pending"].email);
  assert.equal(rowOf(decide(STATES.unverified, verify)).to, null, "a first address replaces none");
  assert.deepEqual((outcomeOf(decide(ACTIVE, signIn), { notified: true }) as { jobs: unknown }).jobs, [{
    kind: "letter",
    id: "j",
  }]);
  assert.deepEqual((outcomeOf(decide(ACTIVE, signIn), { notified: false }) as { jobs: unknown }).jobs, []);
});

Deno.test("UserActor registers once: taken names are refused, a repeated message finds the account", () => {
  const row: RegisterRow = {
    id: ID,
    login: "ada",
    password_hash: "h",
    first_name: "Ada",
    last_name: "Lovelace",
    email: "ada@example.org",
    role: "user",
    page_id: ACTIVE.page_id,
    verified_at: null,
    verify_nonce: "n",
    verify_expires_at: at(1),
    letter_job: "j",
    expire_job: "j2",
    expire_at: at(2),
    at: at(0),
  };
  const command: UserCommand = { type: "register", row };
  const decision = decide(null, command);
  assert.equal(word(decision), "commit user.register");
  assert.equal(refusalOf(decision, { login_taken: true, email_taken: true }), "login-taken");
  assert.equal(refusalOf(decision, { login_taken: false, email_taken: true }), "email-taken");
  const created = stateAfter(decision, { login_taken: false, email_taken: false });
  assert.deepEqual([created!.password_version, created!.session, created!.verify?.attempts], [1, null, 0]);
  assert.equal(word(decide(created, command)), "reply");
});

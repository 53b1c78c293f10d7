import assert from "node:assert/strict";
import type { UserCommand } from "../../actors/user_commands.ts";
import { word } from "../support/decisions.ts";

import {
  block,
  by,
  change,
  check,
  codeFields,
  codeOf,
  decide,
  profile,
  refresh,
  reset,
  RIGHT,
  SESSION,
  signIn,
  STATES,
  verify,
} from "../support/user_decisions.ts";

const TABLE: [keyof typeof STATES, UserCommand, string][] = [
  ["nobody", { type: "account" }, "refuse not-found"],
  ["nobody", signIn, "refuse not-found"],
  ["nobody", { type: "delete", by }, "refuse not-found"],
  ["nobody", { type: "expire" }, "refuse not-found"],
  ["active", { type: "account" }, "reply"],

  ["active", signIn, "commit session.open"],
  ["signed out", signIn, "commit session.open"],
  ["unverified", signIn, "commit session.open"],
  ["blocked until now", signIn, "commit session.open"],
  ["blocked", signIn, "refuse account-blocked"],
  ["blocked temporarily", signIn, "refuse account-blocked"],
  // The password was checked against the previous one.
  ["active", { ...signIn, password_version: 1 }, "refuse credentials-invalid"],

  ["active", refresh, "commit session.refresh"],
  ["active", { ...refresh, generation: 4 }, "refuse token-invalid"],
  ["active", { ...refresh, generation: 2 }, "commit session.end"],
  ["active", { ...refresh, sid: "other" }, "reply"],
  ["signed out", refresh, "reply"],
  ["blocked", refresh, "refuse account-blocked"],
  ["active", { type: "sign_out", sid: SESSION.id }, "commit session.end"],
  ["active", { type: "sign_out", sid: "other" }, "refuse session-ended"],
  ["signed out", { type: "sign_out", sid: SESSION.id }, "refuse session-ended"],

  ["unverified", { type: "send_code", ...codeFields }, "commit user.send_code"],
  ["email pending", { type: "send_code", ...codeFields }, "commit user.send_code"],
  ["active", { type: "send_code", ...codeFields }, "refuse already-verified"],
  ["unverified", verify, "commit user.verify"],
  ["unverified", { ...verify, code: ` ${RIGHT.verify.toLowerCase()} ` }, "commit user.verify"],
  ["unverified", { ...verify, code: "WRONG000" }, "commit user.count_guess"],
  ["unverified", { ...verify, code: RIGHT.recover }, "commit user.count_guess"],
  ["active", verify, "refuse already-verified"],
  ["email pending", { ...verify, code: codeOf("verify", "new@example.org") }, "commit user.verify"],
  // It was sent to the address in force, under the same nonce.
  ["email pending", verify, "commit user.count_guess"],
  ["code expired", verify, "refuse code-invalid"],
  ["code with wrong guesses", verify, "commit user.verify"],
  ["code exhausted", verify, "refuse code-exhausted"],

  ["active", { type: "recover", ...codeFields }, "commit user.send_code"],
  ["blocked", { type: "recover", ...codeFields }, "commit user.send_code"],
  ["recovering", { ...check, code: RIGHT.recover }, "reply"],
  ["nobody", { ...check, code: RIGHT.recover }, "refuse code-invalid"],
  ["nobody", { ...reset, code: RIGHT.recover }, "refuse code-invalid"],
  ["recovering", { ...check, code: RIGHT.verify }, "refuse code-invalid"],
  ["recovering", { ...check, email: "other@example.org", code: RIGHT.recover }, "refuse code-invalid"],
  ["recovery expired", { ...check, code: RIGHT.recover }, "refuse code-invalid"],
  ["active", { ...check, code: RIGHT.recover }, "refuse code-invalid"],
  ["recovering", { ...reset, code: RIGHT.recover }, "commit user.change_password"],
  ["recovering", { ...reset, code: "WRONG000" }, "refuse code-invalid"],
  ["recovering another address", { ...reset, code: RIGHT.recover }, "refuse code-invalid"],
  ["recovering another address", { ...reset, email: "new@example.org", code: RIGHT.recover }, "refuse code-invalid"],
  ["recovery expired", { ...reset, code: RIGHT.recover }, "refuse code-invalid"],
  ["active", { ...reset, code: RIGHT.recover }, "refuse code-invalid"],
  ["active", change, "commit user.change_password"],
  ["active", { ...change, password_version: 1 }, "refuse validation"],
  // The key of its mailbox was made for another address.
  ["email pending", change, "refuse overloaded"],

  ["active", { ...profile, first_name: "Grace" }, "commit user.update_profile"],
  ["active", { ...profile, password_version: undefined, first_name: "Grace" }, "commit user.update_profile"],
  ["active", { ...profile, password_version: 1, email: "new@example.org" }, "refuse validation"],
  ["active", { ...profile, password_version: undefined, email: "new@example.org" }, "refuse validation"],
  [
    "active",
    { ...profile, password_version: undefined, email: "ADA@example.org" },
    "commit user.update_profile",
  ],
  [
    "active",
    { ...profile, by, password_version: undefined, email: "new@example.org" },
    "commit user.update_profile",
  ],
  ["active", { type: "set_role", by, role: "moderator" }, "commit user.set_role"],
  ["active", block, "commit user.block"],
  ["blocked", block, "commit user.block"],
  ["active", { ...block, dry_run: true }, "read"],
  ["nobody", { ...block, dry_run: true }, "refuse not-found"],
  ["blocked", { type: "unblock", by }, "commit user.unblock"],
  ["active", { type: "expire_block" }, "reply"],
  ["blocked", { type: "expire_block" }, "reply"],
  ["blocked temporarily", { type: "expire_block" }, "reply"],
  ["blocked until now", { type: "expire_block" }, "commit user.lapse_block"],
  ["active", { type: "delete", by }, "commit user.delete"],
  ["unverified", { type: "expire" }, "commit user.delete"],
  ["active", { type: "expire" }, "reply"],
  ["email pending", { type: "expire" }, "reply"],
  ["unverified admin", { type: "expire" }, "reply"],
];

for (const [state, command, expected] of TABLE) {
  Deno.test(`UserActor, ${state}, asked to ${JSON.stringify(command).slice(8, 90)}: ${expected}`, () => {
    const before = structuredClone(STATES[state]);
    assert.equal(word(decide(STATES[state], command)), expected);
    assert.deepEqual(STATES[state], before, "a decision does not change the state");
  });
}

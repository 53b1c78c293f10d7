/** An account in its states, and the commands that its actor decides, at one fixed time. */
import { userActor } from "../../actors/user.ts";
import type { UserCommand, UserState } from "../../actors/user_commands.ts";
import { MAX_GUESSES } from "../../actors/user_codes.ts";
import { codeFor } from "../../security/codes.ts";
import type { CodePurpose } from "../../db/letters.ts";

export const KEY = new Uint8Array(32).fill(7);
export const NOW = Date.parse("2026-01-31T12:00:00.000Z");
export const at = (ms: number) => new Date(NOW + ms).toISOString();
export const ID = "018f0000-0000-7000-8000-000000000001";
export const SESSION = { id: "018f0000-0000-7000-8000-000000000002", generation: 3, issued_at: at(-60_000), kid: "k1" };
export const CODE = { nonce: "nonce", expires_at: at(60_000), attempts: 0 };
export const codeOf = (purpose: CodePurpose, address = "ada@example.org", nonce = "nonce") =>
  codeFor(KEY, { purpose, user: ID, address }, nonce);
export const RIGHT = { verify: codeOf("verify"), recover: codeOf("recover") };
export const actor = userActor(KEY);
export const decide = (state: UserState | null, command: UserCommand, now = NOW) => actor.decide(state, command, now);

export const ACTIVE: UserState = {
  id: ID,
  login: "ada",
  first_name: "Ada",
  last_name: "Lovelace",
  email: "ada@example.org",
  email_verified_at: at(-1_000_000),
  pending_email: null,
  role: "user",
  page_id: "018f0000-0000-7000-8000-000000000003",
  avatar_key: null,
  password_version: 2,
  blocked_until: null,
  blocked_reason: null,
  created_at: at(-2_000_000),
  mailbox_mark: null,
  verify: null,
  recover: null,
  asked: { verify: [], recover: [], change: [] },
  session: SESSION,
};

export const STATES = {
  nobody: null,
  active: ACTIVE,
  "signed out": { ...ACTIVE, session: null },
  unverified: { ...ACTIVE, email_verified_at: null, verify: CODE },
  "unverified admin": { ...ACTIVE, email_verified_at: null, role: "admin" },
  blocked: { ...ACTIVE, blocked_until: "infinity", blocked_reason: "spam", session: null },
  "blocked until now": { ...ACTIVE, blocked_until: at(0) },
  "blocked temporarily": { ...ACTIVE, blocked_until: at(1) },
  "email pending": { ...ACTIVE, pending_email: "new@example.org", verify: CODE },
  "code expired": { ...ACTIVE, email_verified_at: null, verify: { ...CODE, expires_at: at(0) } },
  "code with wrong guesses": { ...ACTIVE, email_verified_at: null, verify: { ...CODE, attempts: MAX_GUESSES - 1 } },
  "code exhausted": { ...ACTIVE, email_verified_at: null, verify: { ...CODE, attempts: MAX_GUESSES } },
  recovering: { ...ACTIVE, recover: CODE },
  "recovery expired": { ...ACTIVE, recover: { ...CODE, expires_at: at(0) } },
  "recovering another address": { ...ACTIVE, email: "new@example.org", recover: CODE },
} satisfies Record<string, UserState | null>;

export const codeFields = { nonce: "n2", expires_at: at(1_800_000), job: "j" };
export const signIn = {
  type: "sign_in",
  sid: "s2",
  kid: "k2",
  password_version: 2,
  expires_at: at(1),
  device: { mark: "m", name: "Firefox" },
  job: "j",
} as const;
export const refresh = { type: "refresh", sid: SESSION.id, generation: 3, kid: "k2", expires_at: at(1) } as const;
export const by = { id: "018f0000-0000-7000-8000-00000000000a", role: "admin" } as const;
export const block = { type: "block", by, reason: "spam", until: "infinity", job: "j", dry_run: false } as const;
export const own = { id: ID, role: "user" } as const;
export const profile = {
  type: "update_profile",
  by: own,
  password_version: 2,
  notice_job: "j2",
  ...codeFields,
} as const;
export const fresh = { password_hash: "h", pending_email: null, mailbox_mark: null, job: "j" } as const;
export const reset = { type: "reset_password", email: "Ada@Example.org", ...fresh } as const;
export const check = { type: "check_recovery", email: "ada@example.org" } as const;
export const verify = { type: "verify", code: RIGHT.verify, job: "j" } as const;
export const change = { type: "change_password", password_version: 2, ...fresh } as const;

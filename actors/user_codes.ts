import { type CodePurpose, emailJob } from "../db/letters.ts";
import { changePassword, countGuess, sendCode } from "../db/users.ts";
import { codeMatches } from "../security/codes.ts";
import { sameEmail } from "../lib/folding.ts";
import { commit, type Decision, type Refuse, refuse, reply } from "./runtime/actor.ts";
import type { NewPassword, UserState } from "./user_commands.ts";

type State = UserState | null;

/** Wrong guesses before a code becomes invalid (`docs/limits.md`). */
export const MAX_GUESSES = 5;

/** Limits of emails with codes per account and purpose: one per pause, several per window (`docs/limits.md`). */
export const CODE_PAUSE_MS = 60_000;
export const CODE_WINDOW_MS = 3_600_000;
export const MAX_CODES = 5;

/** The address that a code of this purpose is sent to; null if there is nothing to confirm. */
export function addressOf(state: UserState, purpose: CodePurpose): string | null {
  if (purpose === "recover") return state.email;
  return state.pending_email ?? (state.email_verified_at ? null : state.email);
}

/** Milliseconds until another request is allowed, from the times of earlier ones; undefined if it is allowed now. */
export function waitMs(
  earlier: readonly string[],
  now: number,
  { max, pauseMs = 0 }: { max: number; pauseMs?: number },
): number | undefined {
  const times = earlier.map((at) => Date.parse(at)).filter((at) => at > now - CODE_WINDOW_MS).sort((a, b) => a - b);
  const last = times.at(-1);
  const ends = [
    last === undefined ? now : last + pauseMs,
    times.length < max ? now : times[times.length - max]! + CODE_WINDOW_MS,
  ];
  const end = Math.max(...ends);
  return end > now ? end - now : undefined;
}

/** The times of requests, with this one and without expired ones. */
export function withThis(earlier: readonly string[], now: number, max: number): string[] {
  const recent = earlier.filter((at) => Date.parse(at) > now - CODE_WINDOW_MS);
  return [...recent, new Date(now).toISOString()].slice(-max);
}

export function tooSoon(detail: string, waitMs: number): Refuse {
  return { type: "refuse", refusal: { code: "rate-limited", detail, retryAfter: Math.ceil(waitMs / 1000) } };
}

/**
 * Sends a new code and invalidates the older one of that purpose. An account gets few emails: beyond the limit a
 * recovery code is silently not sent, because the requester may be a stranger, and the last one stays valid.
 */
export function requestCode(
  state: UserState,
  purpose: CodePurpose,
  { nonce, expires_at, job }: { nonce: string; expires_at: string; job: string },
  now: number,
): Decision<State, null> {
  const to = addressOf(state, purpose);
  if (to === null) return refuse("already-verified");
  const wait = waitMs(state.asked[purpose], now, { max: MAX_CODES, pauseMs: CODE_PAUSE_MS });
  if (wait !== undefined) {
    return purpose === "recover"
      ? reply(null)
      : tooSoon("A code was sent already; look for it, or ask again later", wait);
  }
  const asked_at = withThis(state.asked[purpose], now, MAX_CODES);
  const at = new Date(now).toISOString();
  return commit(sendCode, { id: state.id, purpose, nonce, expires_at, asked_at, to, job, at }, () => ({
    value: null,
    state: {
      ...state,
      [purpose]: { nonce, expires_at, attempts: 0 },
      asked: { ...state.asked, [purpose]: asked_at },
    },
    jobs: emailJob(job),
  }));
}

const WRONG_CODE = refuse("code-invalid", undefined, [
  { path: "code", rule: "wrong", message: "Expected the last code that was sent, before it expires" },
]);

/**
 * The decision for a correct code for the account's own email. A wrong code is counted; after a few, the code is
 * invalid.
 */
export function verifyCode<Value>(
  codeKey: Uint8Array,
  state: UserState,
  given: string,
  now: number,
  right: (address: string) => Decision<State, Value>,
): Decision<State, Value> {
  const address = addressOf(state, "verify");
  if (address === null) return refuse("already-verified");
  const { verify } = state;
  if (!verify || Date.parse(verify.expires_at) <= now) return WRONG_CODE;
  if (verify.attempts >= MAX_GUESSES) return refuse("code-exhausted");
  if (codeMatches(codeKey, { purpose: "verify", user: state.id, address }, verify.nonce, given)) return right(address);
  return commit(countGuess, { id: state.id }, () => ({
    refusal: WRONG_CODE.refusal,
    state: { ...state, verify: { ...verify, attempts: verify.attempts + 1 } },
  }));
}

/**
 * The decision for a correct recovery code for its address. Wrong codes are not counted here: anybody may send them, so
 * a count would let strangers invalidate the owner's code and would reveal that the account exists
 * (`security/guesses.ts`).
 */
export function recoveryCode<Value>(
  codeKey: Uint8Array,
  state: State,
  { email, code }: { email: string; code: string },
  now: number,
  right: (state: UserState) => Decision<State, Value>,
): Decision<State, Value> {
  const sent = state?.recover;
  // Compared in any case, so that an address without an account or code takes the same time.
  const subject = { purpose: "recover", user: state?.id ?? "", address: email } as const;
  const matches = codeMatches(codeKey, subject, sent?.nonce ?? "", code);
  const inForce = state && sent && Date.parse(sent.expires_at) > now && sameEmail(email, state.email);
  return inForce && matches ? right(state) : WRONG_CODE;
}

/** Opens the mailbox of the pending address under a new password (`security/mailbox.ts`). */
/** Sets a new password, which ends the session and invalidates every code. */
export function setPassword(
  state: UserState,
  { password_hash, pending_email, mailbox_mark, job }: NewPassword,
  at: string,
): Decision<State, null> {
  if (pending_email !== state.pending_email) {
    return {
      type: "refuse",
      refusal: { code: "overloaded", detail: "The email address changed during the request; try again", retryAfter: 1 },
    };
  }
  const to = noticeAddress(state);
  return commit(changePassword, { id: state.id, password_hash, mailbox_mark, to, job, at }, () => ({
    value: null,
    state: { ...state, password_version: state.password_version + 1, session: null, verify: null, recover: null },
    jobs: to === null ? [] : emailJob(job),
  }));
}

/** The current password is missing or wrong. This is a problem of the field, not of the session. */
export function wrongCurrent(rule: "required" | "wrong"): Refuse {
  const message = rule === "wrong"
    ? "Expected the current password"
    : "Expected the current password, as the email changes";
  return refuse("validation", undefined, [{ path: "current", rule, message }]);
}

/** Where security notices go. An unproven address gets none. */
export function noticeAddress({ email, email_verified_at }: UserState): string | null {
  return email_verified_at === null ? null : email;
}

import { letter } from "../db/letters.ts";
import { changePassword, countGuess, sendCode } from "../db/users.ts";
import { codeMatches, type CodePurpose } from "../security/codes.ts";
import { commit, type CommitDecision, type Decision, refuse } from "./runtime/actor.ts";
import type { UserState } from "./user.ts";

type State = UserState | null;

/** Wrong guesses a code survives (`docs/limits.md`). */
export const MOST_GUESSES = 5;

/** A new code on its way; the older one of that purpose is void. */
export function code(
  state: UserState,
  purpose: CodePurpose,
  to: string,
  { nonce, expires_at, job }: { nonce: string; expires_at: string; job: string },
  at: string,
): Decision<State> {
  return commit(sendCode, { id: state.id, purpose, nonce, expires_at, to, job, at }, () => ({
    value: null,
    state: { ...state, [purpose]: { nonce, expires_at, attempts: 0 } },
    jobs: letter(job),
  }));
}

/** What a right code leads to; a wrong one is counted. */
export function guess(
  codeKey: Uint8Array,
  state: UserState,
  purpose: CodePurpose,
  given: string,
  now: number,
  right: () => Decision<State>,
): Decision<State> {
  const sent = state[purpose];
  if (!sent || Date.parse(sent.expires_at) <= now) return refuse("code-invalid");
  if (sent.attempts >= MOST_GUESSES) return refuse("code-exhausted");
  if (codeMatches(codeKey, purpose, state.id, sent.nonce, given)) return right();
  return commit(countGuess, { id: state.id, purpose }, () => ({
    refusal: { code: "code-invalid" },
    state: { ...state, [purpose]: { ...sent, attempts: sent.attempts + 1 } },
  }));
}

/** A new password, which ends the session (S1-4). */
export function password(
  state: UserState,
  { password_hash, job }: { password_hash: string; job: string },
  at: string,
): CommitDecision<State> {
  const to = noticeAddress(state);
  return commit(changePassword, { id: state.id, password_hash, to, job, at }, () => ({
    value: null,
    state: { ...state, password_version: state.password_version + 1, session: null, recover: null },
    jobs: to === null ? [] : letter(job),
  }));
}

/** Where letters about the account's security go; an address that nobody has proven is told nothing. */
export function noticeAddress({ email, email_verified_at }: UserState): string | null {
  return email_verified_at === null ? null : email;
}

import { emailJob } from "../db/letters.ts";
import { type EndReason, endSession, openSession, refreshSession } from "../db/sessions.ts";
import { blockDetail, isBlocked } from "../db/blocks.ts";
import { commit, type Decision, type Outcome, refuse, reply } from "./runtime/actor.ts";
import type { CommandOf } from "./runtime/commands.ts";
import type { Session, UserCommands, UserState } from "./user_commands.ts";
import { noticeAddress } from "./user_codes.ts";

type State = UserState | null;

/**
 * How long a used refresh token still returns the pair it was exchanged for, after a lost response or in a second tab.
 */
export const REFRESH_GRACE_MS = 10_000;

/** Creates a session and ends the previous one. The owner is notified of a sign-in from a new device. */
export function signIn(
  state: UserState,
  command: CommandOf<UserCommands, "sign_in">,
  now: number,
): Decision<State, Session> {
  const { sid: id, kid, password_version, expires_at, device, job } = command;
  if (isBlocked(state, now)) return refuse("account-blocked", blockDetail(state));
  if (password_version !== state.password_version) return refuse("credentials-invalid");
  const at = new Date(now).toISOString();
  const session: Session = { id, generation: 0, issued_at: at, kid };
  const row = { id, user_id: state.id, kid, expires_at, device, to: noticeAddress(state), job, at };
  return commit(openSession, row, ({ notified }) => ({
    value: session,
    state: { ...state, session },
    jobs: notified ? emailJob(job) : [],
  }));
}

export function refresh(
  state: UserState,
  command: CommandOf<UserCommands, "refresh">,
  now: number,
): Decision<State, { session: Session } | { ended: true }> {
  const { session } = state;
  if (isBlocked(state, now)) return refuse("account-blocked", blockDetail(state));
  // The caller learns the reason from the session's end reason.
  if (session?.id !== command.sid) return reply({ ended: true });
  if (command.generation > session.generation) return refuse("token-invalid");
  const issued = Date.parse(session.issued_at);
  if (command.generation === session.generation - 1 && now - issued <= REFRESH_GRACE_MS) return reply({ session });
  const at = new Date(now).toISOString();
  if (command.generation < session.generation) {
    return endOf(state, "token-reused", at, { refusal: { code: "token-reused" }, state: { ...state, session: null } });
  }
  const next: Session = { id: session.id, generation: session.generation + 1, issued_at: at, kid: command.kid };
  const row = { id: session.id, generation: next.generation, kid: next.kid, expires_at: command.expires_at, at };
  return commit(refreshSession, row, () => ({ value: { session: next }, state: { ...state, session: next } }));
}

export function endOf<Value>(
  state: UserState,
  reason: EndReason,
  at: string,
  outcome: Outcome<State, Value>,
): Decision<State, Value> {
  if (!state.session) return refuse("session-ended");
  return commit(endSession, { id: state.session.id, reason, at }, () => outcome);
}

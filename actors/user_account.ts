import { emailJob } from "../db/letters.ts";
import type { ByRow } from "../db/moderation_log.ts";
import {
  blockUser,
  deleteUser,
  expireUserBlock,
  type Reach,
  reachOfUserBlock,
  setRole,
  unblockUser,
} from "../db/moderation.ts";
import { type RegisterRow, registerUser, verifyUser } from "../db/users.ts";
import { type Account, renderAccount } from "../contract/render.ts";
import { isBlocked } from "../db/blocks.ts";
import { byRow } from "./moderator.ts";
import { commit, type Decision, reply, timeOf } from "./runtime/actor.ts";
import type { CommandOf } from "./runtime/commands.ts";
import { noticeAddress } from "./user_codes.ts";
import type { UserCommands, UserState } from "./user_commands.ts";

type State = UserState | null;

export function register(state: State, row: RegisterRow): Decision<State, Account> {
  // A repeated registration under one Idempotency-Key has a new id. The same id twice is a repeated message.
  if (state) return reply(renderAccount(state));
  return commit(registerUser, row, ({ login_taken, email_taken }) => {
    if (login_taken) return { refusal: { code: "login-taken", detail: `The login "${row.login}" is already taken` } };
    if (email_taken) {
      return { refusal: { code: "email-taken", detail: `The email address "${row.email}" is already taken` } };
    }
    const verify = row.verify_nonce && row.verify_expires_at
      ? { nonce: row.verify_nonce, expires_at: row.verify_expires_at, attempts: 0 }
      : null;
    const created: UserState = {
      id: row.id,
      login: row.login,
      first_name: row.first_name,
      last_name: row.last_name,
      email: row.email,
      email_verified_at: row.verified_at,
      pending_email: null,
      role: row.role,
      page_id: row.page_id,
      avatar_key: null,
      password_version: 1,
      blocked_until: null,
      blocked_reason: null,
      created_at: row.at,
      mailbox_mark: null,
      verify,
      recover: null,
      asked: { verify: [], recover: [], change: [] },
      session: null,
    };
    return { value: renderAccount(created), state: created, jobs: verify ? emailJob(row.letter_job) : [] };
  });
}

/** The email is proven and the account becomes permanent. The previous address gets a notice. */
export function verified(state: UserState, email: string, job: string, at: string): Decision<State, null> {
  const to = noticeAddress(state);
  return commit(verifyUser, { id: state.id, email, to, job, at }, () => ({
    value: null,
    state: {
      ...state,
      email,
      pending_email: null,
      mailbox_mark: null,
      email_verified_at: state.email_verified_at ?? at,
      verify: null,
      recover: null,
    },
    jobs: to === null ? [] : emailJob(job),
  }));
}

export function changeRole(
  state: UserState,
  { by, role, reason }: CommandOf<UserCommands, "set_role">,
  now: number,
): Decision<State, Account> {
  const row = { id: state.id, role, at: timeOf(now), ...byRow(by, reason) };
  return commit(setRole, row, ({ last_admin }) => {
    if (last_admin) return { refusal: { code: "last-admin" } };
    return { value: renderAccount({ ...state, role }), state: { ...state, role } };
  });
}

export function block(
  state: UserState,
  { by, until, reason, job, dry_run }: CommandOf<UserCommands, "block">,
  now: number,
): Decision<State, Account | Reach> {
  if (dry_run) return tryBlock(state);
  const row = { id: state.id, until, job, at: timeOf(now), ...byRow(by, reason) };
  return commit(blockUser, row, ({ last_admin }) => {
    if (last_admin) return { refusal: { code: "last-admin" } };
    const blocked = { ...state, blocked_until: until, blocked_reason: reason, session: null };
    return { value: renderAccount(blocked), state: blocked };
  });
}

/** What a block would affect. Refused if the block would be refused. */
function tryBlock(state: UserState): Decision<State, Reach> {
  return {
    type: "read",
    run: async (sql) => {
      const { last_admin, ...reach } = await reachOfUserBlock(sql, state.id);
      return last_admin ? { refusal: { code: "last-admin" } } : { state, value: reach };
    },
  };
}

export function unblock(
  state: UserState,
  { by, reason }: CommandOf<UserCommands, "unblock">,
  now: number,
): Decision<State, Account> {
  const free = { ...state, blocked_until: null, blocked_reason: null };
  const row = { id: state.id, at: timeOf(now), ...byRow(by, reason) };
  return commit(unblockUser, row, () => ({ value: renderAccount(free), state: free }));
}

export function expireBlock(state: UserState, now: number): Decision<State, null> {
  // The block was lifted or extended meanwhile.
  if (state.blocked_until === null || isBlocked(state, now)) return reply(null);
  const free = { ...state, blocked_until: null, blocked_reason: null };
  return commit(expireUserBlock, { id: state.id, at: timeOf(now) }, () => ({ value: null, state: free }));
}

export function remove(state: UserState, by: ByRow, now: number): Decision<State, null> {
  return commit(
    deleteUser,
    { id: state.id, at: timeOf(now), ...by },
    ({ last_admin }) => last_admin ? { refusal: { code: "last-admin" } } : { value: null, state: "drop" },
  );
}

import { cropJobs, photoResultRow, userAvatar } from "../db/photos.ts";
import { letter } from "../db/letters.ts";
import { changeNotificationSettings, readNotifications } from "../db/notifications.ts";
import type { ByRow } from "../db/moderation_log.ts";
import { blockUser, deleteUser, expireUserBlock, reachOfUserBlock, setRole, unblockUser } from "../db/moderation.ts";
import {
  type AccountSnapshot,
  loadUserActor,
  type RegisterRow,
  registerUser,
  type SentCode,
  type UserActorRow,
  verifyUser,
} from "../db/users.ts";
import { photoUrl, renderAccount } from "../contract/render.ts";
import { isBlocked } from "../db/blocks.ts";
import { byRow } from "./moderator.ts";
import { type ActorKind, commit, type Decision, refuse, reply } from "./runtime/actor.ts";
import { noticeAddress, recoveryCode, requestCode, setPassword, verifyCode, wrongCurrent } from "./user_codes.ts";
import { actRow, profile } from "./user_profile.ts";
import { endOf, refresh, signIn } from "./user_sessions.ts";
import type { UserCommand, UserState } from "./user_commands.ts";

type State = UserState | null;

export function userActor(codeKey: Uint8Array): ActorKind<State, UserCommand> {
  return {
    name: "user",
    load: async (sql, id) => {
      const row = await loadUserActor(sql, id);
      return row ? fromRow(row) : null;
    },
    decide: (state, command, now) => decide(codeKey, state, command, now),
    // Written past this actor (`tasks/admin/operator.ts`).
    absorb: (state, { kind }) => kind === "account.changed" ? "drop" : state,
    snapshot,
  };
}

export function snapshot(state: State): AccountSnapshot | null {
  if (!state) return null;
  const { role, blocked_until, blocked_reason, session } = state;
  return {
    role,
    verified: state.email_verified_at !== null,
    blocked_until,
    blocked_reason,
    session: session && { id: session.id, generation: session.generation },
  };
}

function decide(codeKey: Uint8Array, state: State, command: UserCommand, now: number): Decision<State> {
  if (command.type === "snapshot") return reply(snapshot(state));
  if (command.type === "register") return register(state, command.row);
  const at = new Date(now).toISOString();
  if (command.type === "check_recovery") {
    return recoveryCode(codeKey, state, command, now, ({ pending_email }) => reply({ pending_email }));
  }
  if (command.type === "reset_password") {
    return recoveryCode(codeKey, state, command, now, (state) => setPassword(state, command, at));
  }
  if (!state) return refuse("not-found", "There is no such account");
  switch (command.type) {
    case "account":
      return reply(renderAccount(state));
    case "sign_in":
      return signIn(state, command, now);
    case "refresh":
      return refresh(state, command, now);
    case "sign_out":
      if (state.session?.id !== command.sid) return refuse("session-ended");
      return endOf(state, "session-ended", at, { value: null, state: { ...state, session: null } });
    case "send_code":
      return requestCode(state, "verify", command, now);
    case "recover":
      return requestCode(state, "recover", command, now);
    case "verify":
      return verifyCode(codeKey, state, command.code, now, (email) => verified(state, email, command.job, at));
    case "change_password":
      if (command.password_version !== state.password_version) return wrongCurrent("wrong");
      return setPassword(state, command, at);
    case "update_profile":
      return profile(state, command, now);
    case "stage_avatar": {
      const act = actRow(state, command.by, picture(state.avatar_key), picture(command.photo.key));
      return commit(
        userAvatar.stage,
        { id: state.id, photos: [command.photo], at, ...act },
        ({ staged }) =>
          staged ? { value: null, jobs: cropJobs([command.photo.id]) } : { refusal: { code: "upload-expired" } },
      );
    }
    case "store_avatar_result":
      return commit(
        userAvatar.storeResult,
        { ...photoResultRow(command.photo, at), owner: state.id },
        ({ key }) => key === null ? { value: null } : { value: null, state: { ...state, avatar_key: key } },
      );
    case "remove_avatar": {
      const bare = { ...state, avatar_key: null };
      const row = { id: state.id, at, ...actRow(state, command.by, picture(state.avatar_key), picture(null)) };
      return commit(userAvatar.remove, row, () => ({ value: renderAccount(bare), state: bare }));
    }
    case "read_notifications":
      return commit(readNotifications, { user_id: state.id, up_to: command.up_to }, () => ({ value: null }));
    case "change_notifications": {
      const { letters, mute, unmute } = command;
      const row = { user_id: state.id, letters, mute, unmute };
      return commit(changeNotificationSettings, row, (settings) => ({ value: settings }));
    }
    case "set_role":
      return commit(
        setRole,
        { id: state.id, role: command.role, at, ...byRow(command.by, command.reason) },
        ({ last_admin }) =>
          last_admin
            ? { refusal: { code: "last-admin" } }
            : { value: renderAccount({ ...state, role: command.role }), state: { ...state, role: command.role } },
      );
    case "block": {
      if (command.dry_run) return tryBlock(state);
      const { by, until, reason, job } = command;
      return commit(blockUser, { id: state.id, until, job, at, ...byRow(by, reason) }, ({ last_admin }) => {
        if (last_admin) return { refusal: { code: "last-admin" } };
        const blocked = { ...state, blocked_until: until, blocked_reason: reason, session: null };
        return { value: renderAccount(blocked), state: blocked };
      });
    }
    case "unblock": {
      const free = { ...state, blocked_until: null, blocked_reason: null };
      const row = { id: state.id, at, ...byRow(command.by, command.reason) };
      return commit(unblockUser, row, () => ({ value: renderAccount(free), state: free }));
    }
    case "expire_block": {
      // The block was lifted or made longer meanwhile.
      if (state.blocked_until === null || isBlocked(state, now)) return reply(null);
      const free = { ...state, blocked_until: null, blocked_reason: null };
      return commit(expireUserBlock, { id: state.id, at }, () => ({ value: null, state: free }));
    }
    case "delete":
      return remove(state, at, byRow(command.by, command.reason));
    case "expire":
      if (state.email_verified_at || state.role === "admin") return reply(null);
      return remove(state, at, { by_id: null, by_role: null, reason: null });
  }
}

function register(state: State, row: RegisterRow): Decision<State> {
  // A repeated registration under one Idempotency-Key comes with a new id; the same id twice is a repeated message.
  if (state) return reply(renderAccount(state));
  return commit(registerUser, row, ({ login_taken, email_taken }) => {
    if (login_taken) return { refusal: { code: "login-taken", detail: `The login "${row.login}" is taken` } };
    if (email_taken) return { refusal: { code: "email-taken", detail: `The e-mail "${row.email}" is taken` } };
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
    return { value: renderAccount(created), state: created, jobs: verify ? letter(row.letter_job) : [] };
  });
}

function picture(key: string | null): Record<string, unknown> {
  return { avatar_url: photoUrl(key) };
}

/** The e-mail is proven, and with that the account's for good. The one before gets a notice. */
function verified(state: UserState, email: string, job: string, at: string): Decision<State> {
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
    jobs: to === null ? [] : letter(job),
  }));
}

/** What a block would touch; refused where the block would be. */
function tryBlock(state: UserState): Decision<State> {
  return {
    type: "read",
    run: async (sql) => {
      const { last_admin, ...reach } = await reachOfUserBlock(sql, state.id);
      return last_admin ? { refusal: { code: "last-admin" } } : { state, value: reach };
    },
  };
}

function remove(state: UserState, at: string, by: ByRow): Decision<State> {
  return commit(
    deleteUser,
    { id: state.id, at, ...by },
    ({ last_admin }) => last_admin ? { refusal: { code: "last-admin" } } : { value: null, state: "drop" },
  );
}

function fromRow(row: UserActorRow): UserState {
  const {
    verify_nonce,
    verify_expires_at,
    verify_attempts,
    recover_nonce,
    recover_expires_at,
    verify_asked_at,
    recover_asked_at,
    change_asked_at,
    session_id,
    generation,
    issued_at,
    kid,
    ...user
  } = row;
  return {
    ...user,
    verify: sent(verify_nonce, verify_expires_at, verify_attempts),
    recover: sent(recover_nonce, recover_expires_at, 0),
    asked: { verify: verify_asked_at, recover: recover_asked_at, change: change_asked_at },
    session: session_id && issued_at && kid && generation !== null
      ? { id: session_id, generation, issued_at, kid }
      : null,
  };
}

function sent(nonce: string | null, expires_at: string | null, attempts: number): SentCode | null {
  return nonce && expires_at ? { nonce, expires_at, attempts } : null;
}

import { changeNotificationSettings, readNotifications } from "../db/notifications.ts";
import { loadUserActor } from "../db/users.ts";
import { renderAccount } from "../contract/render.ts";
import { byRow } from "./moderator.ts";
import { type ActorKind, commit, refuse, reply, timeOf } from "./runtime/actor.ts";
import { type CommandOf, dispatch, type Handlers } from "./runtime/commands.ts";
import { block, changeRole, expireBlock, register, remove, unblock, verified } from "./user_account.ts";
import { removeAvatar, stageAvatar, storeAvatarResult } from "./user_avatar.ts";
import { recoveryCode, requestCode, setPassword, verifyCode, wrongCurrent } from "./user_codes.ts";
import type { UserCommand, UserCommands, UserState } from "./user_commands.ts";
import { profile } from "./user_profile.ts";
import { endOf, refresh, signIn } from "./user_sessions.ts";
import { fromRow } from "./user_state.ts";

type State = UserState | null;
/** Commands that are decided even if there is no account. */
type Anyway = "register" | "check_recovery" | "reset_password";

export function userActor(codeKey: Uint8Array): ActorKind<State, UserCommand> {
  const anyway = handlersWithout(codeKey);
  const handlers = handlersWith(codeKey);
  return {
    name: "user",
    handles: (type) => Object.hasOwn(anyway, type) || Object.hasOwn(handlers, type),
    load: async (sql, id) => {
      const row = await loadUserActor(sql, id);
      return row ? fromRow(row) : null;
    },
    decide: (state, command, now) => {
      if (isDecidedAnyway(command)) return dispatch(anyway, state, command, now);
      if (!state) return refuse("not-found", "The account does not exist");
      return dispatch(handlers, state, command, now);
    },
    // The account was changed by an operator's task (`tasks/admin/operator.ts`).
    absorb: (state, { kind, data }) => kind === "account.changed" && data?.["outside"] === true ? "drop" : state,
  };
}

function isDecidedAnyway(command: UserCommand): command is CommandOf<UserCommands, Anyway> {
  const { type } = command;
  return type === "register" || type === "check_recovery" || type === "reset_password";
}

function handlersWithout(codeKey: Uint8Array): Handlers<State, Pick<UserCommands, Anyway>> {
  return {
    register: (state, { row }) => register(state, row),
    check_recovery: (state, command, now) =>
      recoveryCode(codeKey, state, command, now, ({ pending_email }) => reply({ pending_email })),
    reset_password: (state, command, now) =>
      recoveryCode(codeKey, state, command, now, (state) => setPassword(state, command, timeOf(now))),
  };
}

function handlersWith(codeKey: Uint8Array): Handlers<State, Omit<UserCommands, Anyway>, UserState> {
  return {
    account: (state) => reply(renderAccount(state)),
    sign_in: signIn,
    refresh,
    sign_out: (state, { sid }, now) => {
      if (state.session?.id !== sid) return refuse("session-ended");
      return endOf(state, "session-ended", timeOf(now), { value: null, state: { ...state, session: null } });
    },
    send_code: (state, command, now) => requestCode(state, "verify", command, now),
    recover: (state, command, now) => requestCode(state, "recover", command, now),
    verify: (state, { code, job }, now) =>
      verifyCode(codeKey, state, code, now, (email) => verified(state, email, job, timeOf(now))),
    change_password: (state, command, now) => {
      if (command.password_version !== state.password_version) return wrongCurrent("wrong");
      return setPassword(state, command, timeOf(now));
    },
    update_profile: profile,
    stage_avatar: stageAvatar,
    store_avatar_result: (state, { photo }, now) => storeAvatarResult(state, photo, now),
    remove_avatar: removeAvatar,
    read_notifications: (state, { up_to }) =>
      commit(readNotifications, { user_id: state.id, up_to }, () => ({ value: null })),
    change_notifications: (state, { letters, mute, unmute }) =>
      commit(
        changeNotificationSettings,
        { user_id: state.id, letters, mute, unmute },
        (settings) => ({ value: settings }),
      ),
    set_role: changeRole,
    block,
    unblock,
    expire_block: (state, _, now) => expireBlock(state, now),
    delete: (state, { by, reason }, now) => remove(state, byRow(by, reason), now),
    expire: (state, _, now) => {
      if (state.email_verified_at || state.role === "admin") return reply(null);
      return remove(state, { by_id: null, by_role: null, reason: null }, now);
    },
  };
}

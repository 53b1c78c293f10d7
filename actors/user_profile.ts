import { emailJob } from "../db/letters.ts";
import { updateProfile } from "../db/users.ts";
import { type Account, renderAccount } from "../contract/render.ts";
import { sameEmail } from "../lib/folding.ts";
import { type ActingAccount, byRow } from "./moderator.ts";
import { commit, type Decision, type Outcome } from "./runtime/actor.ts";
import type { CommandOf } from "./runtime/commands.ts";
import type { UserCommands, UserState } from "./user_commands.ts";
import { noticeAddress, tooSoon, waitMs, withThis, wrongCurrent } from "./user_codes.ts";

type State = UserState | null;
type Row = Record<string, unknown>;

/** Changes of an account's email per hour. Each sends emails to two addresses (`docs/limits.md`). */
export const MAX_EMAIL_CHANGES = 10;

/**
 * An action on another person's account, as the columns of a commit's row. With `after` it is recorded. One's own
 * changes and changes without effect are not.
 */
export function actRow(state: UserState, by: ActingAccount, before: Row, after: Row) {
  const recorded = by.id !== state.id && JSON.stringify(before) !== JSON.stringify(after);
  return { ...byRow(by), login: state.login, before: recorded ? before : null, after: recorded ? after : null };
}

/**
 * A changed email stays pending, and the old one valid, until the new one's code is given. Giving the old one again
 * cancels the change. Whether the address is taken is not revealed: only the reader of the email with the code learns
 * it.
 */
export function profile(
  state: UserState,
  command: CommandOf<UserCommands, "update_profile">,
  now: number,
): Decision<State, Account> {
  const { first_name = state.first_name, last_name = state.last_name, email, by, password_version, nonce } = command;
  const own = by.id === state.id;
  if (password_version !== undefined && password_version !== state.password_version) return wrongCurrent("wrong");
  const pending_email = pendingAfter(state, email);
  const changed = pending_email !== state.pending_email;
  if (own && password_version === undefined && email !== undefined && !sameEmail(email, state.email)) {
    return wrongCurrent("required");
  }
  const to = !changed ? null : pending_email ?? (state.email_verified_at ? null : state.email);
  const verify = !changed ? state.verify : to ? { nonce, expires_at: command.expires_at, attempts: 0 } : null;
  const wait = own && to !== null ? waitMs(state.asked.change, now, { max: MAX_EMAIL_CHANGES }) : undefined;
  if (wait !== undefined) return tooSoon("The email address was changed too often; try again later", wait);
  const asked_at = own && to !== null ? withThis(state.asked.change, now, MAX_EMAIL_CHANGES) : state.asked.change;
  const notice_to = changed && pending_email !== null ? noticeAddress(state) : null;
  const mailbox_mark = pending_email === null ? null : command.mailbox_mark ?? (changed ? null : state.mailbox_mark);
  const next: UserState = {
    ...state,
    first_name,
    last_name,
    pending_email,
    mailbox_mark,
    verify,
    asked: { ...state.asked, change: asked_at },
  };
  const row = {
    id: state.id,
    first_name,
    last_name,
    pending_email,
    mailbox_mark,
    nonce: verify?.nonce ?? null,
    expires_at: verify?.expires_at ?? null,
    asked_at,
    to,
    job: command.job,
    notice_to,
    notice_job: command.notice_job,
    renamed: first_name !== state.first_name || last_name !== state.last_name,
    at: new Date(now).toISOString(),
    ...actRow(state, by, shown(state, changed), shown(next, changed)),
  };
  return commit(updateProfile, row, (): Outcome<State, Account> => ({
    value: renderAccount(next),
    state: next,
    jobs: [...(to === null ? [] : emailJob(command.job)), ...(notice_to === null ? [] : emailJob(command.notice_job))],
  }));
}

function pendingAfter(state: UserState, email: string | undefined): string | null {
  if (email === undefined) return state.pending_email;
  if (sameEmail(email, state.email)) return null;
  return state.pending_email !== null && sameEmail(email, state.pending_email) ? state.pending_email : email;
}

/** The profile as recorded: the names, and the email if it changed. */
function shown({ first_name, last_name, email, pending_email }: UserState, withEmail: boolean): Row {
  return { first_name, last_name, ...(withEmail ? { email, pending_email } : {}) };
}

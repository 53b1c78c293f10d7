import type { Account } from "../contract/render.ts";
import type { Reach } from "../db/moderation.ts";
import type { LetterTime, NotificationKind, NotificationSettings } from "../db/notifications.ts";
import type { AccountRole } from "../db/account_role.ts";
import type { NewPhoto, PhotoResult } from "../db/photos.ts";
import type { RegisterRow, SentCode, UserRow } from "../db/users.ts";
import type { ActingAccount } from "./moderator.ts";
import type { CommandOf } from "./runtime/commands.ts";

export interface Session {
  id: string;
  /** Number of refreshes. */
  generation: number;
  /** When the current pair of tokens was issued. */
  issued_at: string;
  /** The key that signed the pair, so that the same pair can be created again. */
  kid: string;
}

export interface UserState extends UserRow {
  verify: SentCode | null;
  recover: SentCode | null;
  /** Times of requests for emails to the own address or to a new one. */
  asked: { verify: string[]; recover: string[]; change: string[] };
  session: Session | null;
}

/** Missing fields stay unchanged. */
export interface ProfilePatch {
  first_name?: string | undefined;
  last_name?: string | undefined;
  email?: string | undefined;
  /** The version of the correct password that was given. */
  password_version?: number | undefined;
  mailbox_mark?: string | undefined;
}

export interface NewPassword {
  password_hash: string;
  /** The pending address that the mark was made for, if any. */
  pending_email: string | null;
  mailbox_mark: string | null;
  job: string;
}

/** A code that is being sent: what it is derived from, its expiry, and the job that sends it. */
interface NewCode {
  nonce: string;
  expires_at: string;
  job: string;
}
interface By {
  by: ActingAccount;
}
type Nothing = Record<never, never>;
type Why = By & { reason?: string | undefined };

export interface UserCommands {
  account: { command: Nothing; reply: Account };
  register: { command: { row: RegisterRow }; reply: Account };
  sign_in: {
    command: {
      sid: string;
      kid: string;
      password_version: number;
      expires_at: string;
      device: { mark: string; name: string };
      job: string;
    };
    reply: Session;
  };
  refresh: {
    command: { sid: string; generation: number; kid: string; expires_at: string };
    reply: { session: Session } | { ended: true };
  };
  sign_out: { command: { sid: string }; reply: null };
  send_code: { command: NewCode; reply: null };
  verify: { command: { code: string; job: string }; reply: null };
  recover: { command: NewCode; reply: null };
  check_recovery: { command: { email: string; code: string }; reply: { pending_email: string | null } };
  reset_password: { command: { email: string; code: string } & NewPassword; reply: null };
  change_password: { command: { password_version: number } & NewPassword; reply: null };
  update_profile: { command: By & ProfilePatch & NewCode & { notice_job: string }; reply: Account };
  stage_avatar: { command: By & { photo: NewPhoto }; reply: null };
  store_avatar_result: { command: { photo: PhotoResult }; reply: null };
  remove_avatar: { command: By; reply: Account };
  read_notifications: { command: { up_to: number | null }; reply: null };
  change_notifications: {
    command: { letters: LetterTime | null; mute: NotificationKind[]; unmute: NotificationKind[] };
    reply: NotificationSettings;
  };
  set_role: { command: Why & { role: AccountRole }; reply: Account };
  /** A dry run replies with what a block would affect. */
  block: { command: By & { reason: string; until: string; job: string; dry_run: boolean }; reply: Account | Reach };
  unblock: { command: Why; reply: Account };
  expire_block: { command: Nothing; reply: null };
  delete: { command: Why; reply: null };
  expire: { command: Nothing; reply: null };
}

export type UserCommand = CommandOf<UserCommands>;

import type { LetterTime, NotificationKind } from "../db/notifications.ts";
import type { AccountRole } from "../db/account_role.ts";
import type { NewPhoto, PhotoResult } from "../db/photos.ts";
import type { RegisterRow, SentCode, UserRow } from "../db/users.ts";
import type { ActingAccount } from "./moderator.ts";

export interface Session {
  id: string;
  /** How often it was refreshed. */
  generation: number;
  /** When its current pair was issued. */
  issued_at: string;
  /** The key that signed the pair, so that the same pair can be made again. */
  kid: string;
}

export interface UserState extends UserRow {
  verify: SentCode | null;
  recover: SentCode | null;
  /** When e-mails to a person's own address, or to a new one, were asked for. */
  asked: { verify: string[]; recover: string[]; change: string[] };
  session: Session | null;
}

export interface NewPassword {
  password_hash: string;
  /** The pending address that the mark was made for, if there was one. */
  pending_email: string | null;
  mailbox_mark: string | null;
  job: string;
}

export type UserCommand =
  | { type: "snapshot" }
  | { type: "account" }
  | { type: "register"; row: RegisterRow }
  | {
    type: "sign_in";
    sid: string;
    kid: string;
    password_version: number;
    expires_at: string;
    device: { mark: string; name: string };
    job: string;
  }
  | { type: "refresh"; sid: string; generation: number; kid: string; expires_at: string }
  | { type: "sign_out"; sid: string }
  | { type: "send_code"; nonce: string; expires_at: string; job: string }
  | { type: "verify"; code: string; job: string }
  | { type: "recover"; nonce: string; expires_at: string; job: string }
  | { type: "check_recovery"; email: string; code: string }
  | ({ type: "reset_password"; email: string; code: string } & NewPassword)
  | ({ type: "change_password"; password_version: number } & NewPassword)
  | {
    type: "update_profile";
    first_name?: string;
    last_name?: string;
    email?: string;
    by: ActingAccount;
    /** Of the password that was given and was right. */
    password_version?: number;
    mailbox_mark?: string;
    nonce: string;
    expires_at: string;
    job: string;
    notice_job: string;
  }
  | { type: "stage_avatar"; by: ActingAccount; photo: NewPhoto }
  | { type: "store_avatar_result"; photo: PhotoResult }
  | { type: "remove_avatar"; by: ActingAccount }
  | { type: "read_notifications"; up_to: number | null }
  | { type: "change_notifications"; letters: LetterTime | null; mute: NotificationKind[]; unmute: NotificationKind[] }
  | { type: "set_role"; by: ActingAccount; role: AccountRole; reason?: string }
  | { type: "block"; by: ActingAccount; reason: string; until: string; job: string; dry_run: boolean }
  | { type: "unblock"; by: ActingAccount; reason?: string }
  | { type: "expire_block" }
  | { type: "delete"; by: ActingAccount; reason?: string }
  | { type: "expire" };

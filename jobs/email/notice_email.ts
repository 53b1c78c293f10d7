import { type EmailText, layOut } from "./layout.ts";

/** A security event that the account's owner is notified of. */
export type Notice =
  | { notice: "new_device"; device: string; at: string }
  | { notice: "password_changed"; at: string }
  /** To the current address, while the new one is not confirmed. */
  | { notice: "email_change_asked"; at: string }
  /** To the previous address. */
  | { notice: "email_changed"; at: string };

const ADVICE = "If this was you, you can ignore this email. Otherwise set a new password now, which ends all sessions.";

/** An email about the security of an account. */
export function noticeEmail(notice: Notice): EmailText {
  const when = `${notice.at.slice(0, 16).replace("T", " ")} UTC`;
  switch (notice.notice) {
    case "new_device":
      return layOut("A new device signed in to your Rookery account", [
        { paragraph: "Hello," },
        { paragraph: "There was a sign-in to your account from a new device:" },
        { paragraph: `${notice.device}\n${when}` },
        { paragraph: ADVICE },
      ]);
    case "password_changed":
      return layOut("Your Rookery password was changed", [
        { paragraph: "Hello," },
        { paragraph: `The password of your account was changed at ${when}. All sessions have ended.` },
        { paragraph: "If this was not you, request a recovery code and set a new password now." },
      ]);
    case "email_change_asked":
      return layOut("Email change requested for your Rookery account", [
        { paragraph: "Hello," },
        { paragraph: `At ${when} a change of your account's email address was requested.` },
        { paragraph: "This address stays valid until the new one is confirmed with a code." },
        { paragraph: ADVICE },
      ]);
    case "email_changed":
      return layOut("The email of your Rookery account was changed", [
        { paragraph: "Hello," },
        { paragraph: `Your account's email address was changed at ${when}. This is the last email to this address.` },
        { paragraph: "If this was not you, contact the operator of this server." },
      ]);
  }
}

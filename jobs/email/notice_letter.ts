import { layOut, type LetterText } from "./layout.ts";

/** What happened to an account that its owner should hear of. */
export type Notice =
  | { notice: "new_device"; device: string; at: string }
  | { notice: "password_changed"; at: string }
  /** To the address in force, while the new one waits for its code. */
  | { notice: "email_change_asked"; at: string }
  /** To the address that was in force. */
  | { notice: "email_changed"; at: string };

const ADVICE =
  "If this was you, there is nothing to do. If it was not, set a new password at once: that signs everybody out.";

/** A letter about the security of an account. */
export function noticeLetter(notice: Notice): LetterText {
  const when = `${notice.at.slice(0, 16).replace("T", " ")} UTC`;
  switch (notice.notice) {
    case "new_device":
      return layOut("A new device signed in to your Rookery account", [
        { paragraph: "Hello," },
        { paragraph: `Somebody signed in to your account from a device that was not used for it before:` },
        { paragraph: `${notice.device}\n${when}` },
        { paragraph: ADVICE },
      ]);
    case "password_changed":
      return layOut("Your Rookery password was changed", [
        { paragraph: "Hello," },
        { paragraph: `The password of your account was changed at ${when}, and every session was ended.` },
        { paragraph: "If this was not you, ask for a recovery code at once and set another one." },
      ]);
    case "email_change_asked":
      return layOut("Another e-mail was asked for your Rookery account", [
        { paragraph: "Hello," },
        { paragraph: `At ${when} somebody asked that your account have another e-mail address.` },
        { paragraph: "This address stays in force until the new one is confirmed by a code that was sent there." },
        { paragraph: ADVICE },
      ]);
    case "email_changed":
      return layOut("The e-mail of your Rookery account was changed", [
        { paragraph: "Hello," },
        { paragraph: `From ${when} on your account has another e-mail address. This is the last letter to this one.` },
        { paragraph: "If this was not you, somebody else has your account: write to whoever runs this installation." },
      ]);
  }
}

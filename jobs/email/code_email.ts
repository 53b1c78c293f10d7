import type { CodePurpose } from "../../db/letters.ts";
import { type EmailText, layOut } from "./layout.ts";

const WORDS: Record<CodePurpose, { subject: string; ask: string; ignore: string }> = {
  verify: {
    subject: "Confirm your email for Rookery",
    ask: "To confirm this email address, enter this code:",
    ignore: "If you did not create an account, ignore this email.",
  },
  recover: {
    subject: "Set a new password for Rookery",
    ask: "To set a new password, enter this code:",
    ignore: "If you did not request this, ignore this email. Your password stays unchanged.",
  },
};

/**
 * An email with a code. The code is its only word of eight characters `A–Z0–9`, so that programs can find it. Logins,
 * names and addresses are left out for that reason.
 */
export function codeEmail(purpose: CodePurpose, code: string): EmailText {
  const { subject, ask, ignore } = WORDS[purpose];
  return layOut(subject, [
    { paragraph: "Hello," },
    { paragraph: ask },
    { code },
    { paragraph: "The code is valid for 30 minutes or until you request another one." },
    { paragraph: ignore },
  ]);
}

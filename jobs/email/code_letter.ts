import type { CodePurpose } from "../../db/letters.ts";
import { layOut, type LetterText } from "./layout.ts";

const WORDS: Record<CodePurpose, { subject: string; ask: string; ignore: string }> = {
  verify: {
    subject: "Confirm your e-mail for Rookery",
    ask: "Please confirm this e-mail address with the code",
    ignore: "If you did not ask for an account here, ignore this letter: without the code nothing happens.",
  },
  recover: {
    subject: "Set a new password for Rookery",
    ask: "You can set a new password with the code",
    ignore: "If you did not ask for this, ignore this letter: your password stays as it is.",
  },
};

/** A code's letter. The code is its only word of eight characters `A–Z0–9` (S4), so no login, name or address stands in it. */
export function codeLetter(purpose: CodePurpose, code: string): LetterText {
  const { subject, ask, ignore } = WORDS[purpose];
  return layOut(subject, [
    { paragraph: "Hello," },
    { paragraph: ask },
    { code },
    { paragraph: "It holds for 30 minutes, and only until you ask for another one." },
    { paragraph: ignore },
  ]);
}

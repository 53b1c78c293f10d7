import type { CodePurpose } from "../security/codes.ts";

export interface LetterText {
  subject: string;
  text: string;
  html: string;
}

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
  const validity = "It holds for 30 minutes, and only until you ask for another one.";
  return {
    subject,
    text: `Hello,\n\n${ask}\n\n    ${code}\n\n${validity}\n\n${ignore}\n`,
    html: `<!doctype html><html lang="en"><body style="font-family:sans-serif;max-width:32em">` +
      `<p>Hello,</p><p>${ask}</p><p style="font-size:1.6em;letter-spacing:.15em"><strong>${code}</strong></p>` +
      `<p>${validity}</p><p>${ignore}</p></body></html>`,
  };
}

/** The end of a visit: its reason as text, and pages restored from the browser's history. */
import { tokens } from "./session.js";

const REASONS = {
  "token-outdated": "You signed in elsewhere, so this session has ended. Please sign in again.",
  "token-reused": "The session was ended because one of its tokens was used twice. Please sign in again.",
  "session-ended": "The session has ended. Please sign in again.",
};

export function reasonOf({ slug, message }) {
  return REASONS[slug] ?? message;
}

/**
 * The browser's history may restore the page after its person signed out in another page of this tab, or after another
 * person signed in.
 */
export function whenAnotherReturns(start) {
  let last;
  addEventListener("pagehide", () => last = tokens()?.refresh_token);
  addEventListener("pageshow", ({ persisted }) => {
    if (persisted && tokens()?.refresh_token !== last) start();
  });
}

/** How a visit ends: why, in words, and what happens when the browser brings back a page that its person has left. */
import { tokens } from "./session.js";

const REASONS = {
  "token-outdated": "You signed in elsewhere, which ended the session here. Please sign in again.",
  "token-reused": "The session was ended because one of its tokens was used twice. Please sign in again.",
  "session-ended": "The session has ended. Please sign in again.",
};

export function reasonOf({ slug, message }) {
  return REASONS[slug] ?? message;
}

/** Back may show the page as it was, though meanwhile its person signed out in another page of this tab, or somebody else in. */
export function whenAnotherReturns(start) {
  let last;
  addEventListener("pagehide", () => last = tokens()?.refresh_token);
  addEventListener("pageshow", ({ persisted }) => {
    if (persisted && tokens()?.refresh_token !== last) start();
  });
}

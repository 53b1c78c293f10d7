/**
 * What somebody was writing when their session ended without their doing. It is kept in this page's memory, shown nowhere, and given back
 * if the same person signs in next; with anybody else it is forgotten.
 */
import { account } from "./session.js";

const forms = [];
let kept;

/** A form with drafts: `take` returns what is written in it, if anything; `put` shows that again. */
export function whenDrafted(take, put) {
  forms.push({ take, put });
}

/** Before the page is cleared. */
export function keepDrafts() {
  if (!account) return;
  const drafts = forms.map(({ take }) => take());
  kept = drafts.some((draft) => draft !== undefined) ? { owner: account.id, drafts } : undefined;
}

/** Whether there was something to give back to the person who is here now. */
export function giveDraftsBack() {
  const { owner, drafts = [] } = kept ?? {};
  kept = undefined;
  if (owner !== account.id) return false;
  for (const [i, draft] of drafts.entries()) if (draft !== undefined) forms[i].put(draft);
  return true;
}

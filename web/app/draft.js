/**
 * Drafts of a session that ended unexpectedly. They stay in memory, hidden, and are restored if the same person signs
 * in next. Otherwise they are dropped.
 */
import { account } from "./session.js";

const forms = [];
let kept;

/** Registers a form: `take` returns its draft, if any; `put` restores it. */
export function whenDrafted(take, put) {
  forms.push({ take, put });
}

/** Called before the page is cleared. */
export function keepDrafts() {
  if (!account) return;
  const drafts = forms.map(({ take }) => take());
  kept = drafts.some((draft) => draft !== undefined) ? { owner: account.id, drafts } : undefined;
}

/** Returns whether a draft of the current person was restored. */
export function giveDraftsBack() {
  const { owner, drafts = [] } = kept ?? {};
  kept = undefined;
  if (owner !== account.id) return false;
  for (const [i, draft] of drafts.entries()) if (draft !== undefined) forms[i].put(draft);
  return true;
}

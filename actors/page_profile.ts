import { createPage, type PageRow, type ShownPageRow, updatePage } from "../db/pages.ts";
import { foldTag, isSameTag, TAG_RULE } from "../contract/tags.ts";
import type { PageCommands, PagePatch, PageState } from "./page_commands.ts";
import { commit, type Decision, refuse, reply } from "./runtime/actor.ts";
import type { CommandOf } from "./runtime/commands.ts";

/** Tags per page (`docs/limits.md`). */
export const MAX_TAGS = 30;

export function create(
  state: PageState,
  { by, page }: CommandOf<PageCommands, "create">,
  at: string,
): Decision<PageState, ShownPageRow> {
  if (state) return refuse("uuid-taken");
  return commit(createPage, { ...page, owner_id: by.id, at }, ({ taken, owner }) => {
    if (taken) return { refusal: { code: "uuid-taken", detail: `The handle "${page.uuid}" is already taken` } };
    if (!owner) return { refusal: { code: "token-invalid" } };
    const created: PageRow = {
      ...page,
      is_personal: false,
      blocked_until: null,
      blocked_reason: null,
      owner_blocked_until: null,
      created_at: at,
      avatar_key: null,
      owner,
    };
    return { value: { ...created, follower_count: 0, post_count: 0, follow_state: "none" }, state: created };
  });
}

export function change(
  state: PageRow,
  {
    name = state.name,
    uuid = state.uuid,
    description = state.description,
    is_private = state.is_private,
    tags = state.tags,
  }:
    & PagePatch
    & { tags?: string[] },
  at: string,
): Decision<PageState, null> {
  const next = { ...state, name, uuid, description, is_private, tags };
  const row = {
    id: state.id,
    owner_id: state.owner.id,
    uuid,
    old_uuid: state.uuid,
    name,
    description,
    tags,
    is_private,
    was_private: state.is_private,
    at,
  };
  return commit(
    updatePage,
    row,
    ({ taken }) =>
      taken
        ? { refusal: { code: "uuid-taken", detail: `The handle "${uuid}" is taken` } }
        : { value: null, state: next },
  );
}

/** A stored tag is always accepted again, even if an older rule allowed it. */
export function changeTags(
  state: PageRow,
  { type, tag: given }: CommandOf<PageCommands, "add_tag" | "remove_tag">,
  at: string,
): Decision<PageState, null> {
  if (state.tags.some((stored) => isSameTag(stored, given))) {
    if (type === "add_tag") return reply(null);
    return change(state, { tags: state.tags.filter((stored) => !isSameTag(stored, given)) }, at);
  }
  const tag = foldTag(given);
  if (tag === undefined) return refuse("validation", undefined, [{ path: "tag", rule: "tag", message: TAG_RULE }]);
  if (type === "remove_tag") return reply(null);
  if (state.tags.length >= MAX_TAGS) {
    return refuse("validation", `A page can have at most ${MAX_TAGS} tags`, [
      { path: "tag", rule: "max_items", message: `Expected at most ${MAX_TAGS} tags, and the page has as many` },
    ]);
  }
  return change(state, { tags: [...state.tags, tag] }, at);
}

import assert from "node:assert/strict";
import { pageActor } from "../../actors/page.ts";
import { MAX_TAGS } from "../../actors/page_profile.ts";
import type { ActingAccount } from "../../actors/moderator.ts";
import type { PageCommand, PageState } from "../../actors/page_commands.ts";
import type { EventKind, SequencedEvent } from "../../db/event.ts";
import { outcomeOf, refusalOf, rowOf, stateAfter, word } from "../support/decisions.ts";

const NOW = Date.parse("2026-01-31T12:00:00.000Z");
const at = (ms: number) => new Date(NOW + ms).toISOString();
const decide = (state: PageState, command: PageCommand) => pageActor.decide(state, command, NOW);
const OWNER = { id: "o", login: "ada", first_name: "Ada", last_name: "Lovelace", page_id: "p0", avatar_key: null };

const PEOPLE = {
  owner: { id: "o", role: "user" },
  "owning admin": { id: "o", role: "admin" },
  stranger: { id: "s", role: "user" },
  moderator: { id: "m", role: "moderator" },
  admin: { id: "a", role: "admin" },
} as const;
type Person = keyof typeof PEOPLE;

const OPEN = {
  id: "p",
  uuid: "birds",
  name: "Birds",
  description: "",
  tags: ["owls"],
  is_private: false,
  is_personal: false,
  blocked_until: null as string | null,
  blocked_reason: null as string | null,
  owner_blocked_until: null as string | null,
  created_at: at(-1),
  avatar_key: null,
  owner: OWNER,
};
const STATES = {
  gone: null,
  open: OPEN,
  private: { ...OPEN, is_private: true },
  personal: { ...OPEN, is_personal: true },
  blocked: { ...OPEN, blocked_until: at(1), blocked_reason: "spam" },
  "blocked permanently": { ...OPEN, blocked_until: "infinity", blocked_reason: "spam" },
  "blocked until now": { ...OPEN, blocked_until: at(0) },
  "owner blocked": { ...OPEN, owner_blocked_until: "infinity" },
  "full of tags": { ...OPEN, tags: Array.from({ length: MAX_TAGS }, (_, i) => `t${i}`) },
} satisfies Record<string, PageState>;

const photo = { id: "f", key: "k", staged_key: "staged-k", name: "a.jpg", alt: null };
const cropped = { id: "f", ok: true, format: "jpeg", side: 400, variants: [320], placeholder: "L" } as const;
const post = { id: "x", text: "Hello", tagged: [], tagged_logins: [], place: null, reply_to: null, photos: [] };
const commandsBy = (by: ActingAccount) => ({
  update: { type: "update", by, patch: { name: "Beasts" } },
  "add a new tag": { type: "add_tag", by, tag: "LARKS" },
  "add a tag it has": { type: "add_tag", by, tag: "OWLS" },
  "remove a tag": { type: "remove_tag", by, tag: "OWLS" },
  "remove a tag it lacks": { type: "remove_tag", by, tag: "larks" },
  delete: { type: "delete", by },
  follow: { type: "follow", by },
  unfollow: { type: "unfollow", by },
  "remove a follower": { type: "remove_follower", by, user_id: "f" },
  accept: { type: "answer_requests", by, accept: true, user_ids: ["f"] },
  post: { type: "create_post", by, post },
  "post a photo": { type: "create_post", by, post: { ...post, photos: [photo] } },
  "retry photos": { type: "retry_photos", by, post_id: "x" },
  "upload a picture": { type: "stage_avatar", by, photo },
  "remove the picture": { type: "remove_avatar", by },
  "edit a post": { type: "update_post", by, post_id: "x", text: "Hi" },
  "delete a post": { type: "delete_post", by, post_id: "x" },
  "discard a failed post": { type: "discard_post", by, post_id: "x" },
  like: { type: "like", by, post_id: "x" },
  unlike: { type: "unlike", by, post_id: "x" },
  "block temporarily": { type: "block", by, reason: "spam", until: at(5), job: "j", dry_run: false },
  "block permanently": { type: "block", by, reason: "spam", until: "infinity", job: "j", dry_run: false },
  "dry run of a temporary block": { type: "block", by, reason: "spam", until: at(5), job: "j", dry_run: true },
  "dry run of a permanent block": { type: "block", by, reason: "spam", until: "infinity", job: "j", dry_run: true },
  unblock: { type: "unblock", by },
} satisfies Record<string, PageCommand>);
type CommandName = keyof ReturnType<typeof commandsBy>;
const COMMAND_NAMES = Object.keys(commandsBy(PEOPLE.owner)) as CommandName[];

const OWNER_COMMANDS: [CommandName, string][] = [
  ["update", "commit page.update"],
  ["add a new tag", "commit page.update"],
  ["add a tag it has", "reply"],
  ["remove a tag", "commit page.update"],
  ["remove a tag it lacks", "reply"],
  ["delete", "commit page.delete"],
  ["remove a follower", "commit page.unfollow"],
  ["accept", "commit page.answer_requests"],
  ["post", "commit post.create"],
  ["post a photo", "commit post.create_with_photos"],
  ["retry photos", "commit photo.retry"],
  ["upload a picture", "commit page.stage_avatar"],
  ["remove the picture", "commit page.remove_avatar"],
  ["edit a post", "commit post.update"],
  ["delete a post", "commit post.delete"],
];
const STAFF_COMMANDS: CommandName[] = ["delete a post", "block temporarily", "block permanently", "unblock"];

/** The outcome of each command, by state and person. */
function* table(): Generator<[keyof typeof STATES, Person, CommandName, string]> {
  for (const person of Object.keys(PEOPLE) as Person[]) {
    for (const command of COMMAND_NAMES) yield ["gone", person, command, "refuse not-found"];
  }
  for (const [command, expected] of OWNER_COMMANDS) {
    yield ["open", "owner", command, expected];
    yield ["blocked until now", "owner", command, expected];
    yield ["open", "stranger", command, "refuse forbidden"];
    yield ["blocked", "stranger", command, "refuse page-blocked"];
    for (const staff of ["moderator", "admin"] as const) {
      const theirs = STAFF_COMMANDS.includes(command);
      for (const state of ["open", "blocked", "owner blocked"] as const) {
        yield [state, staff, command, theirs ? expected : "refuse forbidden"];
      }
    }
    for (const state of ["blocked", "blocked permanently", "owner blocked"] as const) {
      yield [state, "owner", command, "refuse page-blocked"];
    }
  }
  // A page may be blocked while a new post's photos are cropped.
  for (const state of ["open", "blocked", "blocked permanently"] as const) {
    yield [state, "owner", "discard a failed post", "commit post.discard"];
    yield [state, "stranger", "discard a failed post", "refuse forbidden"];
    yield [state, "moderator", "discard a failed post", "refuse forbidden"];
  }
  yield ["personal", "owner", "delete", "refuse personal-page"];
  yield ["full of tags", "owner", "add a new tag", "refuse validation"];
  // The owner of a blocked page has no staff rights on it, except to delete posts.
  yield ["blocked", "owning admin", "update", "refuse page-blocked"];
  yield ["blocked", "owning admin", "post", "refuse page-blocked"];
  yield ["blocked", "owning admin", "delete a post", "commit post.delete"];

  yield ["open", "owner", "follow", "refuse own-page"];
  for (const person of ["stranger", "moderator", "admin"] as const) {
    yield ["open", person, "follow", "commit page.follow"];
    yield ["private", person, "follow", "commit page.follow"];
    yield ["open", person, "like", "commit post.like"];
    yield ["open", person, "unlike", "commit post.unlike"];
    yield ["blocked", person, "unfollow", "commit page.unfollow"];
  }
  for (const command of ["follow", "like"] as const) yield ["blocked", "stranger", command, "refuse page-blocked"];
  yield ["owner blocked", "stranger", "follow", "refuse page-blocked"];
  yield ["blocked", "stranger", "unlike", "commit post.unlike"];
  yield ["blocked", "moderator", "like", "commit post.like"];

  for (const command of ["block temporarily", "block permanently", "unblock"] as const) {
    yield ["open", "stranger", command, "refuse forbidden"];
    yield ["open", "owner", command, "refuse forbidden"];
    const kind = `commit page.${command === "unblock" ? "unblock" : "block"}`;
    for (const state of ["open", "blocked", "blocked permanently"] as const) {
      yield [state, "admin", command, kind];
      const permanent = command === "block permanently" || state === "blocked permanently";
      yield [state, "moderator", command, permanent ? "refuse forbidden" : kind];
    }
  }
  // A dry run is refused like the block, and commits nothing.
  for (const end of ["temporary", "permanent"] as const) {
    yield ["open", "owner", `dry run of a ${end} block`, "refuse forbidden"];
    for (const state of ["open", "blocked", "blocked permanently"] as const) {
      const permanent = end === "permanent" || state === "blocked permanently";
      yield [state, "admin", `dry run of a ${end} block`, "read"];
      yield [state, "moderator", `dry run of a ${end} block`, permanent ? "refuse forbidden" : "read"];
    }
  }
}

for (const [state, person, command, expected] of table()) {
  Deno.test(`PageActor, ${state}, asked by the ${person} to ${command}: ${expected}`, () => {
    const before = structuredClone(STATES[state]);
    assert.equal(word(decide(STATES[state], commandsBy(PEOPLE[person])[command])), expected);
    assert.deepEqual(STATES[state], before, "a decision does not change the state");
  });
}

for (
  const [state, expected] of [
    ["gone", "refuse not-found"],
    ["open", "reply"],
    ["blocked", "reply"],
    ["blocked permanently", "reply"],
    ["blocked until now", "commit page.lapse_block"],
  ] as const
) {
  Deno.test(`PageActor, ${state}, at the end of a block: ${expected}`, () => {
    assert.equal(word(decide(STATES[state], { type: "expire_block" })), expected);
  });
}

const by = PEOPLE.owner;

Deno.test("PageActor follows a public page and requests to follow a private one", () => {
  const state = (page: PageState) => rowOf(decide(page, { type: "follow", by: PEOPLE.stranger })).state;
  assert.deepEqual([state(STATES.open), state(STATES.private)], ["following", "requested"]);
  // The reply has the existing state.
  const again = outcomeOf(decide(STATES.private, { type: "follow", by: PEOPLE.stranger }), { state: "following" });
  assert.deepEqual(again, { value: { state: "following" } });
});

Deno.test("PageActor notifies a removed follower only if they can no longer see the page", () => {
  const loses = (page: PageState) => rowOf(decide(page, { type: "remove_follower", by, user_id: "f" })).loses_sight;
  assert.deepEqual([loses(STATES.open), loses(STATES.private)], [false, true]);
  const decision = decide(STATES.open, { type: "remove_follower", by, user_id: "f" });
  assert.equal(refusalOf(decision, { had: "none" }), "not-found");
});

Deno.test("PageActor names people without a request, with their position in the list", () => {
  const decision = decide(STATES.private, {
    type: "answer_requests",
    by,
    accept: true,
    user_ids: ["f", "f", "nobody"],
  });
  assert.deepEqual(rowOf(decision).user_ids, ["f", "nobody"]);
  const outcome = outcomeOf(decision, { strangers: ["nobody"], answered: 0 });
  assert.ok("refusal" in outcome && outcome.refusal.code === "not-requested");
  assert.deepEqual(outcome.refusal.errors?.map(({ path }) => path), ["user_ids.2"]);
  assert.match(outcome.refusal.detail!, /nobody/);
  assert.deepEqual(outcomeOf(decision, { strangers: [], answered: 2 }), { value: 2 });
});

Deno.test("PageActor does not change the page if its new handle is taken", () => {
  const decision = decide(STATES.open, { type: "update", by, patch: { uuid: "beasts" } });
  assert.equal(refusalOf(decision, { taken: true }), "uuid-taken");
  assert.equal(outcomeOf(decision, { taken: true }).state, undefined);
  assert.equal(stateAfter(decision, { taken: false })!.uuid, "beasts");
  assert.deepEqual([rowOf(decision).old_uuid, rowOf(decision).uuid], ["birds", "beasts"]);
});

Deno.test("PageActor folds tags and keeps each once", () => {
  const added = decide(STATES.open, { type: "add_tag", by, tag: "LARKS" });
  assert.deepEqual(stateAfter(added, { taken: false })!.tags, ["owls", "larks"]);
  const removed = decide(STATES.open, { type: "remove_tag", by, tag: "Owls" });
  assert.deepEqual(stateAfter(removed, { taken: false })!.tags, []);
});

Deno.test("PageActor creates a page once, under a free handle, for an existing account", () => {
  const page = { id: "p", uuid: "birds", name: "Birds", description: "", tags: [], is_private: false };
  const decision = decide(null, { type: "create", by, page });
  assert.equal(word(decision), "commit page.create");
  assert.equal(refusalOf(decision, { taken: true, owner: OWNER }), "uuid-taken");
  assert.equal(refusalOf(decision, { taken: false, owner: null }), "token-invalid");
  assert.equal(stateAfter(decision, { taken: false, owner: OWNER })!.owner, OWNER);
  assert.equal(word(decide(STATES.open, { type: "create", by, page })), "refuse uuid-taken");
});

/** The post of the reply, sent as text. */
function postIn(outcome: object): Record<string, unknown> {
  return JSON.parse((outcome as { value: string }).value);
}

Deno.test("PageActor uses the statement's result, not its state, for a page blocked meanwhile", () => {
  const decision = decide(STATES.open, { type: "create_post", by, post: { ...post, reply_to: "y" } });
  const result = { open: true, original: true, reply_page_id: "q", published_at: "2026-01-31T12:00:00.000001Z" };
  assert.equal(refusalOf(decision, { ...result, open: false }), "page-blocked");
  assert.equal(refusalOf(decision, { ...result, original: false }), "not-found");
  const { reply_to, published_at } = postIn(outcomeOf(decision, result));
  assert.deepEqual([reply_to, published_at], [{ id: "y", state: "available" }, result.published_at]);
});

Deno.test("PageActor stores a crop's result on a blocked page, too, and reports remaining work", () => {
  for (const state of [STATES.open, STATES.blocked]) {
    assert.equal(word(decide(state, { type: "store_photo_result", photo: cropped })), "commit photo.settle");
    const avatar = decide(state, { type: "store_avatar_result", photo: cropped });
    assert.equal(word(avatar), "commit page.settle_avatar");
    assert.equal(stateAfter(avatar, { key: "k" })!.avatar_key, "k");
    assert.equal(outcomeOf(avatar, { key: null }).state, undefined, "an outdated result changes nothing");
  }
  const failed = decide(STATES.open, {
    type: "store_photo_result",
    photo: { id: "f", ok: false, problem: "no-image" },
  });
  assert.deepEqual([rowOf(failed).ok, rowOf(failed).problem, rowOf(failed).side], [false, "no-image", null]);
});

Deno.test("PageActor answers a post with photos as processing, and refuses one whose uploads are missing", () => {
  const decision = decide(STATES.open, commandsBy(by)["post a photo"]);
  const result = { open: true, original: true, reply_page_id: null, published_at: null, staged: true };
  const outcome = outcomeOf(decision, result);
  const { state, published_at } = postIn(outcome);
  assert.deepEqual([state, published_at], ["processing", null]);
  assert.deepEqual((outcome as { jobs: readonly { kind: string }[] }).jobs.map(({ kind }) => kind), ["photo.crop"]);
  assert.equal(refusalOf(decision, { ...result, staged: false }), "upload-expired");
  assert.equal(
    refusalOf(decide(STATES.open, commandsBy(by)["retry photos"]), { retried: [] }),
    "nothing-to-retry",
  );
});

Deno.test("PageActor names photos of other posts, and does not let a post become empty", () => {
  const decision = decide(STATES.open, { type: "update_post", by, post_id: "x", photos: ["a", "b"] });
  const result = { found: true, unknown: [], empty: false };
  const { refusal } = outcomeOf(decision, { ...result, unknown: ["b"] }) as { refusal: { errors: { path: string }[] } };
  assert.deepEqual(refusal.errors.map(({ path }) => path), ["photos.1"]);
  assert.equal(refusalOf(decision, { ...result, empty: true }), "validation");
});

Deno.test("PageActor reports a missing post if the statement found none", () => {
  for (const command of ["edit a post", "delete a post"] as const) {
    const result = { found: false, unknown: [], empty: false };
    assert.equal(refusalOf(decide(STATES.open, commandsBy(by)[command]), result), "not-found");
  }
  const liking = decide(STATES.open, { type: "like", by: PEOPLE.stranger, post_id: "x" });
  assert.equal(refusalOf(liking, null), "not-found");
  assert.deepEqual(outcomeOf(liking, { like_count: 4 }), { value: { liked: true, like_count: 4 } });
});

Deno.test("PageActor removes a like for any result of the statement", () => {
  const unliking = decide(STATES.open, { type: "unlike", by: PEOPLE.stranger, post_id: "x" });
  for (const like_count of [null, 4]) {
    assert.deepEqual(outcomeOf(unliking, { like_count }), { value: { liked: false, like_count } });
  }
});

Deno.test("PageActor records actor and reason of staff, and deletions of other people's posts only", () => {
  for (const command of ["block temporarily", "unblock", "delete a post"] as const) {
    const row = rowOf(decide(OPEN, { ...commandsBy(PEOPLE.moderator)[command], reason: "spam" }));
    assert.deepEqual([row.by_id, row.by_role, row.reason], ["m", "moderator", "spam"], command);
  }
  const moderated = (person: Person) => rowOf(decide(OPEN, commandsBy(PEOPLE[person])["delete a post"])).moderated;
  assert.deepEqual([moderated("owner"), moderated("owning admin"), moderated("moderator")], [false, false, true]);
});

Deno.test("PageActor clears a place only on request", () => {
  const row = (place?: string | null) =>
    rowOf(decide(OPEN, { type: "update_post", by, post_id: "x", ...(place !== undefined && { place }) }));
  assert.deepEqual([row().place, row().clear_place], [null, false]);
  assert.deepEqual([row(null).place, row(null).clear_place], [null, true]);
  assert.deepEqual([row("here").place, row("here").clear_place], ["here", false]);
});

Deno.test("PageActor loads again after a page event or a deleted account only", () => {
  const after = (kind: EventKind) => pageActor.absorb!(OPEN, { kind } as SequencedEvent);
  for (const kind of ["page.hidden", "page.shown", "page.updated", "user.deleted"] as const) {
    assert.equal(after(kind), "drop", kind);
  }
  for (const kind of ["post.created", "post.likes", "follow.changed"] as const) {
    assert.equal(after(kind), OPEN, kind);
  }
});

Deno.test("PageActor lets likes and posts share a turn, one of each person or post", () => {
  const key = (command: CommandName, person: Person = "stranger") =>
    pageActor.batchKey!(commandsBy(PEOPLE[person])[command]);
  assert.notEqual(key("like", "stranger"), key("like", "admin"));
  // One person's like and unlike are decided in their order.
  assert.equal(key("like"), key("unlike"));
  for (const command of ["post", "post a photo"] as const) assert.equal(key(command), "x");
  const alone = COMMAND_NAMES.filter((command) => key(command) === undefined);
  assert.equal(alone.length, COMMAND_NAMES.length - 4);
});

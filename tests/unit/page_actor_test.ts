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
  "blocked for good": { ...OPEN, blocked_until: "infinity", blocked_reason: "spam" },
  "blocked until now": { ...OPEN, blocked_until: at(0) },
  "owner blocked": { ...OPEN, owner_blocked_until: "infinity" },
  "full of tags": { ...OPEN, tags: Array.from({ length: MAX_TAGS }, (_, i) => `t${i}`) },
} satisfies Record<string, PageState>;

const photo = { id: "f", key: "k", staged_key: "staged-k", name: "a.jpg", alt: null };
const settled = { id: "f", ok: true, format: "jpeg", side: 400, variants: [320], placeholder: "L" } as const;
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
  "take the picture away": { type: "remove_avatar", by },
  "edit a post": { type: "update_post", by, post_id: "x", text: "Hi" },
  "delete a post": { type: "delete_post", by, post_id: "x" },
  "take a broken post back": { type: "discard_post", by, post_id: "x" },
  like: { type: "like", by, post_id: "x" },
  unlike: { type: "unlike", by, post_id: "x" },
  "block a while": { type: "block", by, reason: "spam", until: at(5), job: "j", dry_run: false },
  "block for good": { type: "block", by, reason: "spam", until: "infinity", job: "j", dry_run: false },
  "try to block a while": { type: "block", by, reason: "spam", until: at(5), job: "j", dry_run: true },
  "try to block for good": { type: "block", by, reason: "spam", until: "infinity", job: "j", dry_run: true },
  unblock: { type: "unblock", by },
} satisfies Record<string, PageCommand>);
type Word = keyof ReturnType<typeof commandsBy>;
const WORDS = Object.keys(commandsBy(PEOPLE.owner)) as Word[];

const OWNERS_WORK: [Word, string][] = [
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
  ["take the picture away", "commit page.remove_avatar"],
  ["edit a post", "commit post.update"],
  ["delete a post", "commit post.delete"],
];
const STAFFS_WORK: Word[] = ["delete a post", "block a while", "block for good", "unblock"];

/** By state and person, what each command comes to. */
function* table(): Generator<[keyof typeof STATES, Person, Word, string]> {
  for (const person of Object.keys(PEOPLE) as Person[]) {
    for (const command of WORDS) yield ["gone", person, command, "refuse not-found"];
  }
  for (const [command, expected] of OWNERS_WORK) {
    yield ["open", "owner", command, expected];
    yield ["blocked until now", "owner", command, expected];
    yield ["open", "stranger", command, "refuse forbidden"];
    yield ["blocked", "stranger", command, "refuse page-blocked"];
    for (const staff of ["moderator", "admin"] as const) {
      const theirs = STAFFS_WORK.includes(command);
      for (const state of ["open", "blocked", "owner blocked"] as const) {
        yield [state, staff, command, theirs ? expected : "refuse forbidden"];
      }
    }
    for (const state of ["blocked", "blocked for good", "owner blocked"] as const) {
      yield [state, "owner", command, "refuse page-blocked"];
    }
  }
  // A page may be blocked while a new post's photos are cropped.
  for (const state of ["open", "blocked", "blocked for good"] as const) {
    yield [state, "owner", "take a broken post back", "commit post.discard"];
    yield [state, "stranger", "take a broken post back", "refuse forbidden"];
    yield [state, "moderator", "take a broken post back", "refuse forbidden"];
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

  for (const command of ["block a while", "block for good", "unblock"] as const) {
    yield ["open", "stranger", command, "refuse forbidden"];
    yield ["open", "owner", command, "refuse forbidden"];
    const kind = `commit page.${command === "unblock" ? "unblock" : "block"}`;
    for (const state of ["open", "blocked", "blocked for good"] as const) {
      yield [state, "admin", command, kind];
      const forGood = command === "block for good" || state === "blocked for good";
      yield [state, "moderator", command, forGood ? "refuse forbidden" : kind];
    }
  }
  // Tried, it is refused where it would be, and commits nothing.
  for (const end of ["a while", "for good"] as const) {
    yield ["open", "owner", `try to block ${end}`, "refuse forbidden"];
    for (const state of ["open", "blocked", "blocked for good"] as const) {
      const forGood = end === "for good" || state === "blocked for good";
      yield [state, "admin", `try to block ${end}`, "read"];
      yield [state, "moderator", `try to block ${end}`, forGood ? "refuse forbidden" : "read"];
    }
  }
}

for (const [state, person, command, expected] of table()) {
  Deno.test(`PageActor, ${state}, asked by the ${person} to ${command}: ${expected}`, () => {
    const before = structuredClone(STATES[state]);
    assert.equal(word(decide(STATES[state], commandsBy(PEOPLE[person])[command])), expected);
    assert.deepEqual(STATES[state], before, "deciding changes nothing");
  });
}

for (
  const [state, expected] of [
    ["gone", "refuse not-found"],
    ["open", "reply"],
    ["blocked", "reply"],
    ["blocked for good", "reply"],
    ["blocked until now", "commit page.lapse_block"],
  ] as const
) {
  Deno.test(`PageActor, ${state}, when a block's end has come: ${expected}`, () => {
    assert.equal(word(decide(STATES[state], { type: "expire_block" })), expected);
  });
}

const by = PEOPLE.owner;

Deno.test("PageActor follows a public page and requests to follow a private one", () => {
  const state = (page: PageState) => rowOf(decide(page, { type: "follow", by: PEOPLE.stranger })).state;
  assert.deepEqual([state(STATES.open), state(STATES.private)], ["following", "requested"]);
  // What was there already is the answer.
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

Deno.test("PageActor leaves the page unchanged if its new handle is taken", () => {
  const decision = decide(STATES.open, { type: "update", by, patch: { uuid: "beasts" } });
  assert.equal(refusalOf(decision, { taken: true }), "uuid-taken");
  assert.equal(outcomeOf(decision, { taken: true }).state, undefined);
  assert.equal(stateAfter(decision, { taken: false })!.uuid, "beasts");
  assert.deepEqual([rowOf(decision).old_uuid, rowOf(decision).uuid], ["birds", "beasts"]);
});

Deno.test("PageActor folds tags and has each once", () => {
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

/** The post that is answered, as text. */
function postIn(outcome: object): Record<string, unknown> {
  return JSON.parse((outcome as { value: string }).value);
}

Deno.test("PageActor trusts the statement, not its state, about a page blocked meanwhile", () => {
  const decision = decide(STATES.open, { type: "create_post", by, post: { ...post, reply_to: "y" } });
  const said = { open: true, original: true, reply_page_id: "q", published_at: "2026-01-31T12:00:00.000001Z" };
  assert.equal(refusalOf(decision, { ...said, open: false }), "page-blocked");
  assert.equal(refusalOf(decision, { ...said, original: false }), "not-found");
  const { reply_to, published_at } = postIn(outcomeOf(decision, said));
  assert.deepEqual([reply_to, published_at], [{ id: "y", state: "available" }, said.published_at]);
});

Deno.test("PageActor stores a crop's result on a blocked page, too, and reports remaining work", () => {
  for (const state of [STATES.open, STATES.blocked]) {
    assert.equal(word(decide(state, { type: "store_photo_result", photo: settled })), "commit photo.settle");
    const avatar = decide(state, { type: "store_avatar_result", photo: settled });
    assert.equal(word(avatar), "commit page.settle_avatar");
    assert.equal(stateAfter(avatar, { key: "k" })!.avatar_key, "k");
    assert.equal(outcomeOf(avatar, { key: null }).state, undefined, "one that was overtaken changes nothing");
  }
  const failed = decide(STATES.open, {
    type: "store_photo_result",
    photo: { id: "f", ok: false, problem: "no-image" },
  });
  assert.deepEqual([rowOf(failed).ok, rowOf(failed).problem, rowOf(failed).side], [false, "no-image", null]);
});

Deno.test("PageActor answers a post with photos as processing, and refuses one whose uploads are missing", () => {
  const decision = decide(STATES.open, commandsBy(by)["post a photo"]);
  const said = { open: true, original: true, reply_page_id: null, published_at: null, staged: true };
  const outcome = outcomeOf(decision, said);
  const { state, published_at } = postIn(outcome);
  assert.deepEqual([state, published_at], ["processing", null]);
  assert.deepEqual((outcome as { jobs: readonly { kind: string }[] }).jobs.map(({ kind }) => kind), ["photo.crop"]);
  assert.equal(refusalOf(decision, { ...said, staged: false }), "upload-expired");
  assert.equal(
    refusalOf(decide(STATES.open, commandsBy(by)["retry photos"]), { retried: [] }),
    "nothing-to-retry",
  );
});

Deno.test("PageActor names photos of other posts, and does not let a post become empty", () => {
  const decision = decide(STATES.open, { type: "update_post", by, post_id: "x", photos: ["a", "b"] });
  const said = { found: true, unknown: [], empty: false };
  const { refusal } = outcomeOf(decision, { ...said, unknown: ["b"] }) as { refusal: { errors: { path: string }[] } };
  assert.deepEqual(refusal.errors.map(({ path }) => path), ["photos.1"]);
  assert.equal(refusalOf(decision, { ...said, empty: true }), "validation");
});

Deno.test("PageActor reports a missing post if the statement found none", () => {
  for (const command of ["edit a post", "delete a post"] as const) {
    const said = { found: false, unknown: [], empty: false };
    assert.equal(refusalOf(decide(STATES.open, commandsBy(by)[command]), said), "not-found");
  }
  const liking = decide(STATES.open, { type: "like", by: PEOPLE.stranger, post_id: "x" });
  assert.equal(refusalOf(liking, null), "not-found");
  assert.deepEqual(outcomeOf(liking, { like_count: 4 }), { value: { liked: true, like_count: 4 } });
});

Deno.test("PageActor removes a like whatever the statement found", () => {
  const unliking = decide(STATES.open, { type: "unlike", by: PEOPLE.stranger, post_id: "x" });
  for (const like_count of [null, 4]) {
    assert.deepEqual(outcomeOf(unliking, { like_count }), { value: { liked: false, like_count } });
  }
});

Deno.test("PageActor records actor and reason of staff, and deletions of other people's posts only", () => {
  for (const command of ["block a while", "unblock", "delete a post"] as const) {
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
  const key = (command: Word, person: Person = "stranger") => pageActor.batchKey!(commandsBy(PEOPLE[person])[command]);
  assert.notEqual(key("like", "stranger"), key("like", "admin"));
  // One person's like and unlike are decided in their order.
  assert.equal(key("like"), key("unlike"));
  for (const command of ["post", "post a photo"] as const) assert.equal(key(command), "x");
  const alone = WORDS.filter((command) => key(command) === undefined);
  assert.equal(alone.length, WORDS.length - 4);
});

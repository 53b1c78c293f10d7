import assert from "node:assert/strict";
import type { VkFailure, VkResult } from "../../../services/vk/errors.ts";
import { UserRow } from "../../../services/vk/methods.ts";
import { hiddenVideos, type Profile, profileOf, type VkResponses } from "../../../services/vk/profile.ts";
import { targetOf, wordOf } from "../../../services/vk/target.ts";
import { videoOf } from "../../../services/vk/videos.ts";

const no = (kind: VkFailure["kind"], message = ""): VkResult<never> => ({
  ok: false,
  failure: { kind, code: 1, message },
});
const count = (n: number): VkResult<{ count: number }> => ({ ok: true, value: { count: n } });

const OPEN = {
  id: 101,
  first_name: "Anna",
  last_name: "Test",
  is_closed: false,
  can_access_closed: true,
  online: 1,
  status: "hello",
  followers_count: 62,
  counters: { videos: 8, posts: 14 },
};
const CLOSED = { id: 104, first_name: "Clara", last_name: "T", is_closed: true, can_access_closed: false };

function profile(
  user: object,
  more: Partial<Omit<VkResponses, "user">> = {},
  kind: "user" | "service" = "user",
): Profile {
  return profileOf({ user: UserRow.parse(user), wall: count(14), videos: undefined, ...more }, kind);
}

Deno.test("An open profile is returned like in VK", () => {
  assert.deepEqual(profile(OPEN), {
    id: "101",
    first_name: "Anna",
    last_name: "Test",
    status: "online",
    status_text: "hello",
    videos: 8,
    followers: 62,
    posts: 14,
    unavailable: {},
  });
});

Deno.test("A value is 0 only if VK says so", () => {
  const none = { ...OPEN, followers_count: 0, counters: { videos: 0 } };
  const { videos, followers, posts, unavailable } = profile(none, { wall: count(0) });
  assert.deepEqual([videos, followers, posts, unavailable], [0, 0, 0, {}]);
  const bare = profile({ id: 1, first_name: "A", last_name: "B" }, { wall: no("failing"), videos: no("failing") });
  const untold = { status: "not-told", status_text: "not-told", followers: "not-told" };
  assert.deepEqual(bare.unavailable, { ...untold, videos: "vk-failing", posts: "vk-failing" });
  for (const field of ["status", "status_text", "videos", "followers", "posts"] as const) {
    assert.equal(bare[field], null);
  }
});

/** Errors of the wall, with our reasons. */
const WALLS: [VkResult<{ count: number }>, string][] = [
  [no("denied", "Access denied: user hid his wall from accessing from outside"), "wall-hidden"],
  [no("denied", "Access denied: wall is disabled"), "wall-disabled"],
  [no("denied", "Access denied: this wall available only for community members"), "wall-members-only"],
  [no("denied", "Access denied"), "wall-hidden"],
  [no("profile-private"), "profile-private"],
  [no("content-blocked"), "content-blocked"],
  [no("permission-missing"), "permission-missing"],
  [no("user-token-required"), "user-token-required"],
  [no("token-kind"), "user-token-required"],
  [no("user-gone"), "user-deleted"],
  [no("quota"), "limit-reached"],
  [no("flood"), "limit-reached"],
  [no("unreachable"), "vk-failing"],
  [no("too-fast"), "vk-failing"],
  [no("bug"), "not-told"],
];

for (const [wall, reason] of WALLS) {
  const { kind, message } = (wall as { failure: VkFailure }).failure;
  Deno.test(`A wall refused as "${kind}"${message && ` (${message})`} is null: ${reason}`, () => {
    const { posts, unavailable } = profile(OPEN, { wall });
    assert.deepEqual([posts, unavailable], [null, { posts: reason }]);
  });
}

Deno.test("The number of videos is the counter's, or the list's, or null with the list's reason", () => {
  const uncounted = { ...OPEN, counters: undefined };
  assert.equal(profile(OPEN, { videos: count(9) }).videos, 8);
  assert.equal(profile(uncounted, { videos: count(9) }).videos, 9);
  const reason = (videos: VkResponses["videos"], kind?: "service") =>
    profile(uncounted, { videos }, kind).unavailable.videos;
  assert.equal(reason(no("denied", "Access denied")), "videos-hidden");
  assert.equal(reason(no("permission-missing")), "permission-missing");
  assert.equal(reason(undefined), "not-told");
  assert.equal(reason(undefined, "service"), "user-token-required");
  assert.equal(profile(OPEN, {}, "service").videos, 8, "an app shows what VK returns to it");
});

Deno.test("A closed profile has its name, and the rest is private", () => {
  const { unavailable, ...shown } = profile({ ...CLOSED, online: 0 }, {
    wall: no("profile-private"),
    videos: no("profile-private"),
  });
  assert.deepEqual([shown.first_name, shown.status], ["Clara", "offline"]);
  const reason = "profile-private";
  assert.deepEqual(unavailable, { status_text: reason, videos: reason, followers: reason, posts: reason });
  assert.deepEqual(profile({ ...OPEN, is_closed: true }).unavailable, {}, "open to this token");
});

Deno.test("A deleted or banned person's data is not returned", () => {
  for (
    const [deactivated, reason] of [["deleted", "user-deleted"], ["banned", "user-banned"], ["other", "user-deleted"]]
  ) {
    const { status, posts, videos, unavailable } = profile({ ...OPEN, deactivated }, {}, "service");
    assert.deepEqual([status, posts, videos], [null, null, null]);
    assert.deepEqual(new Set(Object.values(unavailable)), new Set([reason]));
  }
});

/** `online` and `online_info` of VK, with our status. */
const PRESENCE: [object, Profile["status"], string | undefined][] = [
  [{ online: 1 }, "online", undefined],
  [{ online: 0 }, "offline", undefined],
  [{ online: 0, online_info: { visible: true, is_online: true } }, "online", undefined],
  [{ online: 1, online_info: { visible: false } }, null, "online-hidden"],
  [{ online: 1, online_info: { visible: true } }, "online", undefined],
  [{ online: undefined }, null, "not-told"],
];

Deno.test("Online status is separate from the status text, and hidden if VK hides it", () => {
  for (const [said, status, reason] of PRESENCE) {
    const shown = profile({ ...OPEN, ...said, status: "offline" });
    assert.deepEqual([shown.status, shown.unavailable.status, shown.status_text], [status, reason, "offline"]);
  }
});

Deno.test("A list of videos is hidden if VK hides it, not after failures", () => {
  const reason = (result: VkResult<never>, user: object = OPEN) =>
    hiddenVideos(UserRow.parse(user), (result as { failure: VkFailure }).failure);
  assert.equal(reason(no("denied")), "videos-hidden");
  assert.equal(reason(no("profile-private")), "profile-private");
  assert.equal(reason(no("user-token-required")), "user-token-required");
  assert.equal(reason(no("user-gone"), { ...OPEN, deactivated: "banned" }), "user-banned");
  for (const kind of ["failing", "unreachable", "busy", "quota", "captcha", "bug"] as const) {
    assert.equal(reason(no(kind)), undefined, kind);
  }
});

Deno.test("A video has its widest picture, and omits what VK omits", () => {
  const image = [320, 1_280, 800].map((width) => ({ url: `https://x/${width}.jpg`, width }));
  const row = {
    id: 5,
    owner_id: -7,
    title: "T",
    description: "D",
    duration: 61,
    date: 1_600_000_000,
    views: 0,
    image,
    player: "p",
  };
  assert.deepEqual(videoOf(row), {
    id: "-7_5",
    title: "T",
    description: "D",
    duration_s: 61,
    published_at: "2020-09-13T12:26:40.000Z",
    views: 0,
    preview_url: "https://x/1280.jpg",
    player_url: "p",
  });
  const bare = videoOf({ id: 1, owner_id: 2, title: "", description: "", date: 9e15 });
  assert.deepEqual([bare.published_at, bare.views, bare.duration_s, bare.preview_url], [null, null, null, null]);
});

/** Names of VK users in a path. */
const TARGETS: Record<string, string | undefined> = {
  me: "me",
  "101": "101",
  id101: "101",
  ID101: "101",
  durov: "durov",
  "Anna_Test.1": "anna_test.1",
  "0": undefined,
  "007": undefined,
  id0: "id0",
  "-5": undefined,
  x: undefined,
  "not-an-id": undefined,
  "_x_": undefined,
  "1234567890123456": undefined,
  "a b": undefined,
  'x"y': undefined,
  "": undefined,
  "кот": undefined,
  ["x".repeat(33)]: undefined,
};

Deno.test("A user is named by me, a number or a screen name, with one spelling each", () => {
  for (const [text, word] of Object.entries(TARGETS)) {
    const target = targetOf(text);
    assert.equal(target && wordOf(target), word, JSON.stringify(text));
  }
});

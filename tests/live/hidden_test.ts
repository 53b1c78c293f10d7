import assert from "node:assert/strict";
import { Listener } from "../support/listener.ts";
import { NodeProcess } from "../support/node_process.ts";
import { administrator, makePeople, type Person } from "../support/person.ts";

const UNTIL = () => new Date(Date.now() + 3_600_000).toISOString();

/** Frames that show posts or hide pages. */
const SHOWING = new Set(["post.created", "post.updated", "post.deleted", "post.likes", "page.hidden", "page.shown"]);

Deno.test("The live feed of a page that is hidden and shown again", async (t) => {
  await using node = await NodeProcess.start();
  const world = await openWorld(node);
  await t.step(
    "sends the block, then no posts of it except to staff, then the end of the block",
    () => blockedPage(world),
  );
  await t.step(
    "continues for the followers of a page made private, and ends for a removed one",
    () => privatePage(world),
  );
  await t.step("shows a reply's original only to those who may see it", () => originalOfReply(world));
  await t.step(
    "sends the deletion of a page, and the hiding of pages with their owner's account",
    () => deletedPage(world),
  );
  for (const listener of world.listeners) listener.cut();
});

type World = Awaited<ReturnType<typeof openWorld>>;

/** A page and one that everybody sees, with three followers who listen. */
async function openWorld(node: NodeProcess) {
  const admin = await administrator(node);
  const [ann, bob, eve, moderator] = await makePeople(node, 4) as [Person, Person, Person, Person];
  await admin.do("PUT", `/users/${moderator.id}/role`, { role: "moderator" });
  await moderator.signIn();
  const page = await ann.do("POST", "/pages", { name: "a page" });
  const beacon = await ann.do("POST", "/pages", { name: "always visible to all" });
  for (const person of [bob, eve, moderator]) {
    await person.do("PUT", `/pages/${page.id}/follow`);
    await person.do("PUT", `/pages/${beacon.id}/follow`);
  }
  const listeners = await Promise.all([bob, eve, moderator].map((person) => Listener.open(person)));
  const [ofBob, ofEve] = listeners as [Listener<Person>, Listener<Person>, Listener<Person>];

  /** Frames of all listeners since the last call, up to a post that all of them receive. */
  const heardSince = async (): Promise<string[][]> => {
    const mark = await ann.post("mark", {}, beacon.id);
    return await Promise.all(listeners.map(async (listener) => {
      await listener.heard("the mark", ({ data }) => data.id === mark.id);
      const frames = listener.events.splice(0).filter(({ type, data }) => SHOWING.has(type) && data.id !== mark.id);
      return frames.map(({ type, data }) =>
        type.startsWith("page.")
          ? `${type} ${data.reason ?? ""} ${data.visible ?? ""}`.trim()
          : `${type} ${data.text ?? data.id}`
      );
    }));
  };
  return { admin, ann, bob, eve, moderator, page, beacon, listeners, ofBob, ofEve, heardSince };
}

async function blockedPage({ admin, ann, moderator, page, heardSince }: World): Promise<void> {
  const post = await ann.post("before", {}, page.id);
  assert.deepEqual(await heardSince(), Array(3).fill(["post.created before"]));
  await admin.do("POST", `/pages/${page.id}/block`, { reason: "a test", until: UNTIL() });
  assert.equal((await ann.call("POST", `/pages/${page.id}/posts`, { text: "never" })).status, 403);
  await moderator.do("DELETE", `/posts/${post.id}`);
  assert.deepEqual(await heardSince(), [
    ["page.hidden blocked false"],
    ["page.hidden blocked false"],
    ["page.hidden blocked true", `post.deleted ${post.id}`],
  ]);
  await admin.do("DELETE", `/pages/${page.id}/block`);
  await ann.post("back", {}, page.id);
  assert.deepEqual(await heardSince(), Array(3).fill(["page.shown", "post.created back"]));
}

async function privatePage({ ann, bob, eve, page, ofBob, ofEve, heardSince }: World): Promise<void> {
  await ann.do("PATCH", `/pages/${page.id}`, { is_private: true });
  await ann.post("for followers", {}, page.id);
  assert.deepEqual(await heardSince(), Array(3).fill(["page.hidden private true", "post.created for followers"]));
  await ann.do("DELETE", `/pages/${page.id}/followers/${eve.id}`);
  const secret = await ann.post("not for Eve", {}, page.id);
  await bob.do("PUT", `/posts/${secret.id}/like`);
  await ofBob.heard("the like", ({ type }) => type === "post.likes");
  const [, toEve] = await heardSince();
  assert.deepEqual(toEve, ["page.hidden removed false"]);
  assert.equal((await eve.do("PUT", `/pages/${page.id}/follow`)).state, "requested");
  await ann.post("still not for Eve", {}, page.id);
  assert.deepEqual((await heardSince())[1], []);
  const cursor = ofEve.cursor;
  ofEve.cut();
  await ann.post("nor while she is offline", {}, page.id);
  await ofEve.connect(cursor);
  assert.deepEqual((await heardSince())[1], []);
  await ann.do("POST", `/pages/${page.id}/requests/accept`, { user_ids: [eve.id] });
  await ann.post("for Eve again", {}, page.id);
  assert.deepEqual((await heardSince())[1], ["post.created for Eve again"]);
}

async function originalOfReply({ ann, eve, moderator, page, beacon, listeners, heardSince }: World): Promise<void> {
  const original = await ann.post("original", {}, page.id);
  await ann.do("DELETE", `/pages/${page.id}/followers/${eve.id}`);
  const reply = await ann.post("reply", { reply_to: original.id }, beacon.id);
  const states = async (type: string) =>
    await Promise.all(
      listeners.map(async (listener) =>
        (await listener.heard(`${type} of the reply`, (frame) => frame.type === type && frame.data.id === reply.id))
          .data.reply_to
      ),
    );
  const [available, unavailable] = ["available", "unavailable"].map((state) => ({ id: original.id, state }));
  assert.deepEqual(await states("post.created"), [available, unavailable, available]);
  for (const listener of listeners) {
    listener.cut();
    await listener.connect(listener.hellos[0]!.cursor);
    listener.events.length = 0;
    listener.cut();
    await listener.connect(listener.hellos[0]!.cursor);
  }
  assert.deepEqual(await states("post.created"), [available, unavailable, available], "replayed");
  await moderator.do("DELETE", `/pages/${page.id}/follow`);
  await ann.do("PATCH", `/posts/${reply.id}`, { text: "reply, edited" });
  assert.deepEqual(await states("post.updated"), [available, unavailable, available], "staff see without following");
  await ann.do("DELETE", `/posts/${original.id}`);
  for (const listener of listeners) listener.events.length = 0;
  await ann.do("PATCH", `/posts/${reply.id}`, { text: "reply, edited again" });
  assert.deepEqual(await states("post.updated"), [unavailable, unavailable, unavailable]);
  await heardSince();
  await moderator.do("PUT", `/pages/${page.id}/follow`);
  await ann.do("POST", `/pages/${page.id}/requests/accept`, { all: true });
  await heardSince();
}

async function deletedPage({ admin, ann, bob, eve, page, ofBob, heardSince }: World): Promise<void> {
  await ann.do("DELETE", `/pages/${page.id}`);
  const [toBob, toEve, toModerator] = await heardSince();
  assert.deepEqual([toBob, toModerator], Array(2).fill(["page.hidden deleted false"]));
  assert.deepEqual(toEve, [], "she did not follow");
  await bob.do("PUT", `/pages/${eve.page_id}/follow`);
  await admin.do("POST", `/users/${eve.id}/block`, { reason: "a test", until: UNTIL() });
  await ofBob.heard(
    "the hidden page of Eve",
    ({ type, data }) => type === "page.hidden" && data.page_id === eve.page_id,
  );
  await admin.do("DELETE", `/users/${eve.id}/block`);
  await ofBob.heard(
    "the end of the block",
    ({ type, data }) => type === "page.shown" && data.page_id === eve.page_id,
  );
}

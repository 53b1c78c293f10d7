/** The wait of a block, with a database whose answers the test holds. */
import assert from "node:assert/strict";
import { sleep } from "../../lib/sleep.ts";
import type { Json } from "../support/api.ts";
import { startApp, type TestApp } from "../support/app.ts";
import type { Person } from "../support/person.ts";
import { HeldStatement } from "../support/held_statement.ts";
import type { Listener, LiveFrame } from "../support/listener.ts";
import { until } from "../support/wait.ts";

interface World {
  app: TestApp;
  admin: Person;
  ann: Person;
  bob: Person;
  page: string;
  beacon: string;
  block: () => Promise<{ answered: boolean; done: Promise<Json> }>;
}

async function world(run: (world: World) => Promise<void>): Promise<void> {
  await using app = await startApp();
  const admin = await app.admin();
  const [ann, bob] = await app.people(2) as [Person, Person];
  const page = (await app.page(ann)).id;
  await app.follow(bob, page);
  await app.follow(bob, ann.page_id);
  const block = async () => {
    const call = { answered: false, done: undefined as unknown as Promise<Json> };
    const body = { reason: "a test", until: null };
    call.done = app.ok("POST", `/pages/${page}/block`, { token: admin.token, body }).then((answer) => {
      call.answered = true;
      return answer;
    });
    await until("the block in the database", async () => {
      const [row] = await app.ctx.sql.query("select 1 from pages where id = $1 and blocked_until is not null", [page]);
      return row;
    });
    return call;
  };
  await run({ app, admin, ann, bob, page, beacon: ann.page_id, block });
}

const summary = (frames: LiveFrame[]) =>
  frames.filter(({ type }) => type.startsWith("post.") || type.startsWith("page.")).map(({ type, data }) =>
    `${type} ${data.text ?? data.reason ?? ""}`.trim()
  );

/** Frames up to a post that is created now and received by the listener. */
async function upToMark({ app, ann, beacon }: World, listener: Listener): Promise<string[]> {
  const text = `mark ${crypto.randomUUID()}`;
  await app.post(ann, { text }, beacon);
  await listener.next(({ type, data }) => type === "post.created" && data.text === text);
  return summary(listener.frames).filter((frame) => !frame.startsWith("post.created mark"));
}

Deno.test("A block is answered after earlier frames, and no frame of the page follows the answer", () =>
  world(async (world) => {
    const { app, ann, bob, page, block } = world;
    await using listener = await app.listen(bob.token);
    await listener.next("hello");
    using held = new HeldStatement(app.ctx.sql, "event.live_posts");
    await app.post(ann, { text: "before" }, page);
    await held.isHolding();
    const call = await block();
    await sleep(100);
    assert.equal(call.answered, false, "the frame of the post is not sent yet");
    held.letGo();
    assert.equal((await call.done).blocked.reason, "a test");
    const sent = app.ctx.gateway.stats.frames;
    await sleep(200);
    assert.equal(app.ctx.gateway.stats.frames, sent, "a frame was sent after the answer");
    assert.deepEqual(await upToMark(world, listener), ["post.created before", "page.hidden blocked"]);
  }));

Deno.test("Sockets that do not process a block in time are closed, except staff and listeners of other pages", () =>
  world(async (world) => {
    const { app, ann, bob, page, block } = world;
    const [eve, moderator] = [await app.person(), await app.moderator()];
    await app.follow(moderator, page);
    for (const person of [eve, moderator]) await app.follow(person, ann.page_id);
    const listeners = await Promise.all([bob, eve, moderator].map(({ token }) => app.listen(token)));
    const [ofBob, ofEve, ofModerator] = listeners as [Listener, Listener, Listener];
    const { cursor } = await ofBob.next("hello");
    for (const listener of [ofEve, ofModerator]) await listener.next("hello");
    const held = new HeldStatement(app.ctx.sql, "event.live_posts");
    await app.post(ann, { text: "before" }, page);
    await held.isHolding();
    const start = performance.now();
    await (await block()).done;
    const took = performance.now() - start;
    assert.ok(took > 1_500 && took < 5_000, `${took} ms`);
    assert.equal((await ofBob.ended()).code, 4408);
    assert.ok(ofEve.isOpen && ofModerator.isOpen);
    held.letGo();
    assert.deepEqual(await upToMark(world, ofModerator), [
      "post.created before",
      "page.hidden blocked",
    ]);
    assert.deepEqual(summary(ofBob.frames), [], "no frame of the page after the answer");
    await using again = await app.listen(bob.token, cursor!);
    assert.deepEqual(await upToMark(world, again), ["page.hidden blocked"]);
    for (const listener of listeners) await listener[Symbol.asyncDispose]();
  }));

for (const statement of ["event.live_posts", "event.replay"]) {
  Deno.test(`A socket that catches up while its page is blocked shows none of its posts (${statement} is held)`, () =>
    world(async (world) => {
      const { app, ann, bob, page, block } = world;
      const first = await app.listen(bob.token);
      const { cursor } = await first.next("hello");
      await first[Symbol.asyncDispose]();
      await app.post(ann, { text: "missed" }, page);
      using held = new HeldStatement(app.ctx.sql, statement);
      await using listener = await app.listen(bob.token, cursor!);
      await listener.next("hello");
      await held.isHolding();
      const call = await block();
      // The block waits for a send in progress, not for a read, whose result is checked again.
      if (statement === "event.replay") await call.done;
      else {
        await sleep(100);
        assert.equal(call.answered, false);
      }
      held.letGo();
      await call.done;
      assert.deepEqual(await upToMark(world, listener), ["page.hidden blocked"]);
    }));
}

Deno.test("The pages of a blocked account are hidden when the block is answered, and shown when it is lifted", () =>
  world(async (world) => {
    const { app, admin, ann, bob, page } = world;
    const carl = await app.person();
    await app.follow(bob, carl.page_id);
    await using listener = await app.listen(bob.token);
    await listener.next("hello");
    const held = new HeldStatement(app.ctx.sql, "event.live_posts");
    await app.post(ann, { text: "before" }, page);
    await held.isHolding();
    const call = { answered: false };
    const blocking = app.ok("POST", `/users/${ann.id}/block`, { token: admin.token, body: { reason: "a test" } })
      .then(() => call.answered = true);
    await sleep(100);
    assert.equal(call.answered, false);
    held.letGo();
    await blocking;
    const sent = app.ctx.gateway.stats.frames;
    await sleep(150);
    assert.equal(app.ctx.gateway.stats.frames, sent);
    await app.post(carl, { text: "mark" });
    await listener.next(({ type, data }) => type === "post.created" && data.text === "mark");
    const hidden = ["page.hidden blocked", "page.hidden blocked"];
    assert.deepEqual(summary(listener.frames), ["post.created before", ...hidden, "post.created mark"]);
    await app.ok("DELETE", `/users/${ann.id}/block`, { token: admin.token });
    await app.post(carl, { text: "another" });
    await listener.next(({ type, data }) => type === "post.created" && data.text === "another");
    assert.deepEqual(summary(listener.frames).slice(4), ["page.shown", "page.shown", "post.created another"]);
  }));

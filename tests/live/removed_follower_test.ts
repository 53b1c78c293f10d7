/** A follower who is removed from a private page while one of their sockets catches up. */
import assert from "node:assert/strict";
import { startApp } from "../support/app.ts";
import { HeldStatement } from "../support/held_statement.ts";
import type { LiveFrame } from "../support/listener.ts";
import type { Person } from "../support/person.ts";

const summary = (frames: LiveFrame[]) =>
  frames.filter(({ data }) => data).map(({ type, data }) =>
    `${type} ${data.text ?? data.reason ?? data.state} ${data.reply_to?.state ?? ""}`.trim()
  );

for (const statement of ["event.replay", "event.live_posts"]) {
  Deno.test(`A replay shows a removed follower nothing of the private page (${statement} is held)`, async () => {
    await using app = await startApp();
    const [ann, eve] = await app.people(2) as [Person, Person];
    const { id: page } = await app.page(ann, { is_private: true });
    await app.follow(eve, ann.page_id);
    await app.follow(eve, page);
    await app.ok("POST", `/pages/${page}/requests/accept`, { token: ann.token, body: { all: true } });
    await using watching = await app.listen(eve.token);
    const { cursor } = await watching.next("hello");
    const original = await app.post(ann, { text: "private" }, page);
    await app.post(ann, { text: "public", reply_to: original.id });
    await watching.next(({ data }) => data?.text === "public");
    using held = new HeldStatement(app.ctx.sql, statement);
    await using listener = await app.listen(eve.token, cursor!);
    await listener.next("hello");
    await held.isHolding();
    await app.ok("DELETE", `/pages/${page}/followers/${eve.id}`, { token: ann.token });
    await watching.next("following.changed");
    held.letGo();
    await listener.next("following.changed");
    await app.post(ann, { text: "the end" });
    await listener.next(({ data }) => data?.text === "the end");
    assert.deepEqual(summary(listener.frames).filter((frame) => !/^(notification|post\.replies)/.test(frame)), [
      "post.created public unavailable",
      "page.hidden removed",
      "following.changed none",
      "post.created the end",
    ]);
    assert.deepEqual(summary(watching.frames).slice(0, 2), [
      "post.created private",
      "post.created public available",
    ]);
  });
}

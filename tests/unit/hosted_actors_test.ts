/** Effects of commands, with a pool whose answers the test controls. */
import assert from "node:assert/strict";
import type { EffectsOf } from "../../actors/effects.ts";
import { FEED_EFFECTS, type FeedCommands } from "../../actors/feed_commands.ts";
import { PAGE_EFFECTS } from "../../actors/page_commands.ts";
import { USER_EFFECTS } from "../../actors/user_commands.ts";
import type { Pool } from "../../actors/runtime/pool.ts";
import type { Command, Ref } from "../../actors/runtime/protocol.ts";
import { HostedActors } from "../../live/hosted_actors.ts";

interface World {
  actors: HostedActors;
  stream: { stalled: boolean };
  /** The effects, in order. */
  done: string[];
}

function world(answer: () => Promise<unknown> = async () => "value"): World {
  const done: string[] = [];
  const pool = {
    ask: (_: Ref, command: Command) => {
      done.push(`asks ${JSON.stringify(command)}`);
      return answer();
    },
  } as unknown as Pool;
  const feeds = {
    read: (user: string) => void done.push(`${user} reads`),
    refresh: (user: string, post: string) => void done.push(`${post} is read again for ${user}`),
  };
  const stream = { stalled: false };
  return {
    actors: new HostedActors(pool, feeds, { hint: () => done.push("like events are sent") }, stream),
    stream,
    done,
  };
}

const firstPage = { type: "first_page", limit: 5, bypass: false };
const page: Ref = { kind: "page", id: "p" };

Deno.test("A feed that is read is kept up to date", async () => {
  const { actors, done } = world();
  assert.equal(await actors.ask({ kind: "feed", id: "ada" }, firstPage), "value");
  assert.deepEqual(done, ["ada reads", `asks ${JSON.stringify(firstPage)}`]);
});

Deno.test("Stale caches are bypassed, also for a node that does not know of it", async () => {
  const { actors, stream, done } = world();
  stream.stalled = true;
  await actors.ask({ kind: "feed", id: "ada" }, firstPage);
  assert.deepEqual(done, ["ada reads", `asks ${JSON.stringify({ ...firstPage, bypass: true })}`]);
});

for (const type of ["like", "unlike"]) {
  Deno.test(`After a ${type} the person sees it at once, and everybody gets an event`, async () => {
    const { actors, done } = world();
    await actors.ask(page, { type, by: { id: "ada" }, post_id: "post" } as Command);
    assert.deepEqual(done.slice(1), ["post is read again for ada", "like events are sent"]);
  });
}

Deno.test("A refused like and other commands have no effects", async () => {
  const refused = world(() => Promise.reject(new Error("expected")));
  await assert.rejects(refused.actors.ask(page, { type: "like", by: { id: "ada" }, post_id: "post" } as Command));
  const other = world();
  await other.actors.ask(page, { type: "follow", by: { id: "ada" } } as Command);
  assert.deepEqual([refused.done.length, other.done.length], [1, 1]);
});

Deno.test("Exactly these commands have effects", () => {
  const having = [PAGE_EFFECTS, USER_EFFECTS, FEED_EFFECTS].flatMap((table) =>
    Object.entries(table).filter(([, effects]) => Object.keys(effects).length > 0).map(([name]) => name)
  );
  assert.deepEqual(having, ["like", "unlike", "first_page"]);
});

Deno.test("An unknown command has no effects", async () => {
  const { actors, done } = world();
  await actors.ask(page, { type: "of another version" });
  assert.equal(done.length, 1);
});

// @ts-expect-error: every command declares its effects
export const INCOMPLETE: EffectsOf<FeedCommands> = { first_page: FEED_EFFECTS.first_page };

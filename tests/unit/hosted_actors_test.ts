/** The actors of this process, with a pool that answers as the test says. */
import assert from "node:assert/strict";
import type { Command, Ref } from "../../actors/runtime/protocol.ts";
import { HostedActors } from "../../live/hosted_actors.ts";

interface World {
  actors: HostedActors;
  license: { holds: boolean };
  /** What was done, in order. */
  done: string[];
}

function world(answer: (license: { holds: boolean }) => unknown = () => "value"): World {
  const done: string[] = [];
  const license = { holds: true };
  const pool = {
    ask: (ref: Ref, command: Command) => {
      done.push(`asks ${ref.kind} ${JSON.stringify(command)}`);
      return Promise.resolve(answer(license));
    },
  };
  const feeds = { read: (user: string) => void done.push(`${user} reads`) };
  return { actors: new HostedActors(pool, feeds, license), license, done };
}

const feed: Ref = { kind: "feed", id: "ada" };
const firstPage = { type: "first_page", limit: 5, bypass: false };
const kept = `asks feed ${JSON.stringify(firstPage)}`;
const past = `asks feed ${JSON.stringify({ ...firstPage, bypass: true })}`;

Deno.test("A feed that is read here is kept up to date", async () => {
  const { actors, done } = world();
  assert.equal(await actors.ask(feed, firstPage), "value");
  assert.deepEqual(done, ["ada reads", kept]);
});

Deno.test("A feed is read from Postgres while this node may not answer from memory", async () => {
  const { actors, license, done } = world();
  license.holds = false;
  assert.equal(await actors.ask(feed, firstPage), "value");
  assert.deepEqual(done, ["ada reads", past]);
});

Deno.test("A feed is read again from Postgres if the lease ends while it is read", async () => {
  let reads = 0;
  const { actors, done } = world((license) => {
    license.holds = false;
    return ++reads;
  });
  assert.equal(await actors.ask(feed, firstPage), 2);
  assert.deepEqual(done, ["ada reads", kept, past]);
});

Deno.test("Commands for other actors go to the pool as they are, with the license or without", async () => {
  const { actors, license, done } = world();
  const like = { type: "like" };
  await actors.ask({ kind: "page", id: "p" }, like);
  license.holds = false;
  await actors.ask({ kind: "user", id: "ada" }, like);
  assert.deepEqual(done, [`asks page ${JSON.stringify(like)}`, `asks user ${JSON.stringify(like)}`]);
});

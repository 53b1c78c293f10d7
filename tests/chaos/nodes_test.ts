/** Nodes that answer callers beside the one that has the actors, each a process of its own. */
import assert from "node:assert/strict";
import { at, startInstallation } from "../support/installation.ts";
import { LiveListener } from "../support/live_listener.ts";
import { makePeople, type Person } from "../support/person.ts";

const isFull = Deno.env.get("TEST_POSTGRES_URL") !== undefined;
const fullTest = isFull
  ? (name: string, body: () => Promise<void>) => Deno.test(name, body)
  : (name: string) => Deno.test.ignore(name, () => {});

fullTest("What people do through a node without actors is what they do through any", async () => {
  await using installation = await startInstallation();
  const { owner, a, b } = installation;
  for (const { url } of [owner, a, b]) {
    const ready = await fetch(`${url}/readyz`);
    assert.deepEqual([ready.status, (await ready.json()).checks.actors], [200, "ok"]);
  }
  const [ada, bob, eve] = await makePeople(a, 3) as [Person, Person, Person];
  await at(b, bob).do("PUT", `/pages/${ada.page}/follow`);
  await eve.do("PUT", `/pages/${ada.page}/follow`);
  const listeners = await Promise.all(
    [at(b, bob), at(owner, eve), ada].map((person) => LiveListener.open(person)),
  );
  const post = await ada.post("hello");
  assert.deepEqual((await ada.do("GET", "/feed")).items.map(({ id }: { id: string }) => id), [post.id]);
  for (const listener of listeners) await listener.heard("the post", ({ data }) => data.id === post.id);
});

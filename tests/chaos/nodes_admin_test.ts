/** `deno task admin` with several nodes. */
import assert from "node:assert/strict";
import { fullTest } from "../support/full.ts";
import { startInstallation } from "../support/installation.ts";
import { makePeople, type Person } from "../support/person.ts";
import { Listener } from "../support/listener.ts";

import { TaskProcess } from "../support/task_process.ts";
import { until } from "../support/wait.ts";

fullTest("Changes by deno task admin apply on every node when the task ends, and sockets are closed", async () => {
  await using installation = await startInstallation();
  const { owner, a, b } = installation;
  const [ann, bob] = await makePeople(a, 2) as [Person, Person];
  const everywhere = (person: Person) => [owner, a, b].map((node) => person.at(node));
  const listeners = await Promise.all(everywhere(ann).map((person) => Listener.open(person)));
  for (const person of everywhere(bob)) assert.equal((await person.call("GET", "/moderation/log")).status, 403);

  await TaskProcess.done("admin", ["grant", bob.login], owner.settings);
  for (const person of everywhere(bob)) assert.equal((await person.call("GET", "/moderation/log")).status, 200);
  // The process with the actors is busy with other work.
  await Promise.all(Array.from({ length: 20 }, (_, i) => bob.at(b).post(`post ${i}`)));
  await TaskProcess.done("admin", ["revoke", bob.login], owner.settings);
  for (const person of everywhere(bob)) assert.equal((await person.call("GET", "/moderation/log")).status, 403);

  await TaskProcess.done("admin", ["password", ann.login], owner.settings);
  for (const person of everywhere(ann)) assert.equal((await person.call("GET", "/users/me")).status, 401);
  await until("the sockets of her session are closed", () => listeners.every(({ connected }) => !connected));
});

/** What the README's nginx block does for a node behind it. */
import assert from "node:assert/strict";
import { sharedApp } from "../support/app.ts";
import { Listener } from "../support/listener.ts";
import { hasNginx, startNginx } from "../support/servers.ts";

const app = sharedApp();
const options = { ignore: !hasNginx() };

Deno.test("Behind nginx calls are answered and a live socket opens", options, async () => {
  await using nginx = await startNginx(app.url);
  const { token } = await app.person();
  const headers = { authorization: `Bearer ${token}` };
  const me = await fetch(`${nginx.url}/api/v1/users/me`, { headers });
  assert.equal(me.status, 200);
  await me.body?.cancel();
  await using listener = await Listener.open(`${nginx.url.replace("http", "ws")}/api/v1/feed/live`, token);
  await listener.next("hello");
});

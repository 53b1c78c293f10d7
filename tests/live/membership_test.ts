/** Sockets are checked against Postgres, and closed if the node may not send to them. */
import assert from "node:assert/strict";
import { CLOSE, type Connection } from "../../live/connection.ts";
import type { Caller } from "../../actors/account_cache.ts";
import { sharedApp } from "../support/app.ts";
import { Listener } from "../support/listener.ts";
import type { Person } from "../support/person.ts";
import { until } from "../support/wait.ts";
import { HeldStatement } from "../support/held_statement.ts";
import { FakeSocket } from "../support/fake_socket.ts";

const app = sharedApp();

async function callerOf({ id }: Person): Promise<Caller> {
  const snapshot = await app.ctx.accounts.snapshot(id);
  return { id, role: snapshot!.role, verified: true, sid: snapshot!.session!.id };
}

async function join(person: Person): Promise<{ socket: FakeSocket; connection: Connection }> {
  const socket = new FakeSocket();
  const connection = await app.ctx.gateway.join(socket, await callerOf(person), undefined, () => Promise.resolve(true));
  return { socket, connection };
}

Deno.test("Sockets are closed if session or account have ended in Postgres, and no others", async () => {
  const [ada, bob, eve, carl] = await app.people(4) as [Person, Person, Person, Person];
  const opened = await Promise.all([ada, bob, eve, carl].map(join));
  // Written past the actors, like a change by another node.
  await app.ctx.sql.execute("update sessions set ended_at = now() where user_id = $1", [bob.id]);
  await app.ctx.sql.execute("update users set blocked_until = 'infinity' where id = $1", [eve.id]);
  await app.ctx.sql.execute("update users set role = 'moderator' where id = $1", [carl.id]);
  await app.ctx.gateway.accounts.recheck();
  const codes = opened.map(({ socket }) => socket.closedWith);
  assert.deepEqual(codes, [undefined, CLOSE.sessionEnded, CLOSE.blocked, CLOSE.sessionEnded]);
  for (const { connection } of opened) app.ctx.gateway.leave(connection);
});

Deno.test("A socket that opens after accounts were read is not checked against the earlier read", async () => {
  const ada = await app.person();
  const former = await join(ada);
  const held = new HeldStatement(app.ctx.sql, "user.facets", 1);
  const checking = app.ctx.gateway.accounts.recheck();
  await held.isHolding();
  // Its answer waits for the check, so no socket of the new session is open before.
  const signingIn = app.signIn(ada.login);
  await until("the new session", async () => {
    const rows = await app.ctx.sql.query("select from sessions where user_id = $1", [ada.id]);
    return rows.length === 2;
  });
  held.letGo();
  await Promise.all([checking, signingIn]);
  const current = await join(ada);
  assert.deepEqual([former.socket.closedWith, current.socket.closedWith], [CLOSE.sessionEnded, undefined]);
  for (const { connection } of [former, current]) app.ctx.gateway.leave(connection);
});

Deno.test("Closed sockets get 1012, and their places are free at once", async () => {
  const ada = await app.person();
  const { socket } = await join(ada);
  assert.equal(app.ctx.gateway.socketsOf(ada.id), 1);
  app.ctx.gateway.closeAll();
  assert.deepEqual([socket.closedWith, app.ctx.gateway.socketsOf(ada.id)], [CLOSE.restarting, 0]);
});

Deno.test("A node whose lease has ended rejects listeners temporarily", async () => {
  const ada = await app.person();
  const { gateway } = app.ctx;
  Object.defineProperty(gateway, "takes", { get: () => false, configurable: true });
  const headers = {
    connection: "upgrade",
    upgrade: "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
  };
  const answer = await app.call("GET", "/feed/live", { token: ada.token, headers, undeclared: true });
  const { socket } = await join(ada);
  Reflect.deleteProperty(gateway, "takes");
  assert.deepEqual([answer.status, answer.headers.get("retry-after")], [503, "1"]);
  assert.deepEqual([socket.closedWith, gateway.socketsOf(ada.id)], [CLOSE.restarting, 0]);
});

Deno.test("A socket of a person whose role changes while it opens is closed", async () => {
  const moderator = await app.moderator();
  const { accounts } = app.ctx;
  await accounts.snapshot(moderator.id);
  const snapshot = accounts.snapshot;
  // The handshake uses the cached account; the later check reads the new role.
  accounts.snapshot = async (id) => ({ ...(await snapshot.call(accounts, id))!, role: "user" });
  try {
    await using listener = new Listener(moderator);
    await assert.rejects(() => listener.connect(), /ended before hello/);
    assert.equal((await listener.ended()).code, 4401);
  } finally {
    accounts.snapshot = snapshot;
  }
});

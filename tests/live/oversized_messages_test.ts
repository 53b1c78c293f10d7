import assert from "node:assert/strict";
import { sleep } from "../../lib/sleep.ts";
import { sharedApp, startApp } from "../support/app.ts";
import { HandshakeRefused, RawSocket } from "../support/raw_socket.ts";

const app = sharedApp();
const MIB = 1024 * 1024;

function listen(token: string, url = app.url): Promise<RawSocket> {
  return RawSocket.open(`${url.replace("http", "ws")}/api/v1/feed/live`, { Authorization: `Bearer ${token}` });
}

async function closing(socket: RawSocket): Promise<number | undefined> {
  for (;;) {
    const message = await socket.next();
    if (message === undefined) return undefined;
    if (message.kind === "close") return message.code;
  }
}

Deno.test("A message over a kibibyte closes the socket with 1009, and a shorter one does not", async () => {
  const { token } = await app.person();
  const [long, short] = [await listen(token), await listen(token)];
  await long.announce(1_025);
  await long.push(new Uint8Array(1_025));
  assert.equal(await closing(long), 1009);
  await short.announce(1_024);
  await short.push(new Uint8Array(1_024));
  const { page_id } = await app.person();
  await app.call("PUT", `/pages/${page_id}/follow`, { token });
  assert.equal((await short.next())?.kind, "text");
  short.cut();
  long.cut();
});

Deno.test({
  name: "An announced but incomplete frame is not buffered: its socket is closed, and others stay open",
  ignore: Deno.build.os !== "linux",
  fn: async () => {
    const { token } = await app.person();
    const other = await listen((await app.person()).token);
    const sockets = await Promise.all(Array.from({ length: 8 }, () => listen(token)));
    const sent = await Promise.all(sockets.map(async (socket) => {
      const ended = closing(socket);
      await socket.announce(60 * MIB);
      let sent = 0;
      const part = new Uint8Array(MIB / 8);
      try {
        for (; sent < 59 * MIB; sent += part.length) {
          await socket.push(part);
          await sleep(200);
        }
      } catch {
        // The server has closed it.
      }
      const code = await ended;
      socket.cut();
      assert.ok(code === 1009 || code === undefined, `closed with ${code}`);
      return sent;
    }));
    assert.ok(Math.max(...sent) < 12 * MIB, `the server read ${Math.max(...sent) / MIB} MiB of one socket`);
    assert.equal((await other.next())?.kind, "text");
    other.cut();
  },
});

Deno.test("An account with an unverified email may have two sockets, others sixteen", async () => {
  await using strict = await startApp({ REQUIRE_VERIFIED_EMAIL: "true" });
  for (const [verified, most] of [[false, 2], [true, 16]] as const) {
    const { token } = await strict.person({ verified });
    const open = [];
    for (let i = 0; i < most; i++) open.push(await listen(token, strict.url));
    await assert.rejects(
      listen(token, strict.url),
      (error) => error instanceof HandshakeRefused && error.status === 429,
    );
    open.forEach((socket) => socket.cut());
  }
});

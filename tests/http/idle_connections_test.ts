import assert from "node:assert/strict";
import { hostnameOf } from "../../lib/http/kernel_sockets.ts";
import { sharedApp } from "../support/app.ts";
import { half, RawHttp } from "../support/raw_http.ts";
import { RawSocket } from "../support/raw_socket.ts";
import { until } from "../support/wait.ts";

const app = sharedApp();
/** A head has ten seconds to arrive; connections are checked every second, later on a busy machine. */
const SOON_MS = 20_000;

Deno.test({
  name: "A connection without a request is closed after ten seconds, and active ones are kept",
  ignore: Deno.build.os !== "linux",
  fn: async () => {
    const { token } = await app.person();
    const live = await RawSocket.open(`${app.url.replace("http", "ws")}/api/v1/feed/live`, {
      Authorization: `Bearer ${token}`,
    });
    const ask = half("GET /api/v1/users/me", { Authorization: `Bearer ${token}` });
    using asking = await RawHttp.open(app.url, ask);
    using silent = await RawHttp.open(app.url);
    using halfHead = await RawHttp.open(app.url, "GET /api/v1/users/me HTTP/1.1\r\nHost: rookery.test\r\n");
    const dripping = await RawHttp.open(app.url, "GET / HTTP/1.1\r\n");
    const drip = setInterval(() => void dripping.send("a: b\r\n").catch(() => {}), 500);
    const keep = setInterval(() => void asking.send(ask).catch(() => {}), 2_000);
    const owed = { "Content-Length": "100", Authorization: `Bearer ${token}` };
    using owing = await RawHttp.open(app.url, half("POST /api/v1/nothing", owed, "{"));
    // None of these routes reads a body.
    using owingGet = await RawHttp.open(app.url, half("GET /api/v1/users/me", owed));
    using owingHead = await RawHttp.open(app.url, half("HEAD /healthz", owed, "{"));
    using owingPage = await RawHttp.open(app.url, half("GET /", owed));
    using owingPost = await RawHttp.open(app.url, half("POST /api/v1/feed/ticket", owed));
    const { Authorization } = owed;
    using owingChunks = await RawHttp.open(
      app.url,
      half("GET /api/v1/users/me", { Authorization, "Transfer-Encoding": "chunked" }),
    );
    const answered = [owingGet, owingHead, owingPage, owingPost, owingChunks];
    try {
      const begun = Date.now();
      const heard = live.next();
      await Promise.all([silent, halfHead, dripping, owing, ...answered].map((each) => each.closedWithin(SOON_MS)));
      assert.ok(Date.now() - begun > 5_000, "no connection was closed early");
      assert.equal(owing.status, 404);
      for (const each of answered) assert.equal(Math.floor(each.status! / 100), 2, each.received);
      const before = asking.received.length;
      await asking.send(ask);
      await until("an answer, or the end", () => asking.received.length > before || asking.closedAt !== undefined);
      assert.equal(asking.closedAt, undefined);
      assert.equal((await heard)?.kind, "text");
      live.cut();
    } finally {
      clearInterval(drip);
      clearInterval(keep);
      dripping[Symbol.dispose]();
    }
  },
});

Deno.test("An address in the kernel's table equals the address of requests", () => {
  assert.equal(hostnameOf("0100007F"), "127.0.0.1");
  assert.equal(hostnameOf("0000000000000000FFFF00000100007F"), "::ffff:127.0.0.1");
  assert.equal(hostnameOf("00000000000000000000000001000000"), "::1");
  assert.equal(hostnameOf("B80D01200000000000000000010000AB"), "2001:db8::ab00:1");
});

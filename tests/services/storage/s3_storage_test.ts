import { AwsV4Signer } from "aws4fetch";
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { parseS3Url } from "../../../services/storage/s3_options.ts";
import { S3Storage } from "../../../services/storage/s3_storage.ts";
import { fails, keys, storageSuite, text } from "../../conformance/storage_suite.ts";
import { startS3 } from "../../support/s3_server.ts";
import { freePort, type Server } from "../../support/servers.ts";

let server: Server;
Deno.test.beforeAll(async () => {
  server = await startS3();
});
Deno.test.afterAll(() => server.stop());

const prefixOfItsOwn = () => `${crypto.randomUUID()}/`;
const open = () => new S3Storage({ ...parseS3Url(server.url), prefix: prefixOfItsOwn() });

// fauxqs answers 416 to a suffix longer than the object; S3 returns the whole object.
storageSuite("S3Storage", async () => open(), { takesLongSuffixes: false });

/** Connections close a moment after the test. */
const options = { sanitizeOps: false, sanitizeResources: false };

Deno.test({
  name: "S3Storage with a wrong secret has no access",
  ...options,
  fn: async () => {
    await using stranger = new S3Storage({ ...parseS3Url(server.url), secretAccessKey: "wrong" });
    await fails("refused", stranger.put("a", text("x")));
    await fails("refused", stranger.get("a"));
    await fails("refused", stranger.head("a"));
    await fails("refused", stranger.delete("a"));
    await fails("refused", stranger.list({ limit: 1 }));
  },
});

Deno.test({
  name: "The S3 server accepts only requests signed with its secret",
  ...options,
  fn: async () => {
    const { endpoint, bucket, accessKeyId, secretAccessKey } = parseS3Url(server.url);
    const ask = async ({ now = Date.now(), keys = {}, headers = {}, sent = "mine", path = "", as = "PUT" } = {}) => {
      const signed = await new AwsV4Signer({
        method: "PUT",
        url: `${endpoint}/${bucket}/signed?a=b%2Fc`,
        headers: { "x-amz-content-sha256": sha256("mine"), ...headers },
        datetime: new Date(now).toISOString().replace(/[:-]|\.\d{3}/g, ""),
        service: "s3",
        region: "us-east-1",
        accessKeyId,
        secretAccessKey,
        ...keys,
      }).sign();
      return { url: `${signed.url}${path}`, init: { method: as, headers: signed.headers, body: sent } };
    };
    const answer = async (request: ReturnType<typeof ask>, change: Record<string, string> = {}) => {
      const { url, init } = await request;
      for (const [name, value] of Object.entries(change)) init.headers.set(name, value);
      const response = await fetch(url, init);
      return [response.status, /<Code>(.*)<\/Code>/.exec(await response.text())?.[1]];
    };
    const taken = [200, undefined];
    const other = [403, "SignatureDoesNotMatch"];
    const stranger = [403, "InvalidAccessKeyId"];
    const late = [403, "RequestTimeTooSkewed"];
    assert.deepEqual(await answer(ask({ keys: { secretAccessKey: "wrong" } })), other);
    assert.deepEqual(await answer(ask({ keys: { accessKeyId: "nobody" } })), stranger);
    assert.deepEqual(await answer(ask(), { authorization: "" }), stranger);
    assert.deepEqual(await answer(ask({ keys: { region: "eu-west-1" } })), other);
    assert.deepEqual(await answer(ask({ keys: { service: "sqs" } })), other);
    assert.deepEqual(await answer(ask({ sent: "another" })), other);
    assert.deepEqual(await answer(ask({ sent: "another" }), { "x-amz-content-sha256": sha256("another") }), other);
    assert.deepEqual(await answer(ask(), { "x-amz-content-sha256": "UNSIGNED-PAYLOAD" }), other);
    assert.deepEqual(await answer(ask({ path: "&more" })), other);
    assert.deepEqual(await answer(ask({ as: "POST" })), other);
    assert.deepEqual(await answer(ask(), { "x-amz-meta-more": "x" }), other);
    for (const minutes of [-16, 16]) assert.deepEqual(await answer(ask({ now: Date.now() + minutes * 60_000 })), late);
    const moved = new Date(Date.now() - 60_000).toISOString().replace(/[:-]|\.\d{3}/g, "");
    assert.deepEqual(await answer(ask(), { "x-amz-date": moved }), other);
    await using storage = new S3Storage(parseS3Url(server.url));
    assert.equal(await storage.head("signed"), undefined);
    assert.deepEqual(await answer(ask()), taken);
    assert.deepEqual(await answer(ask({ now: Date.now() - 14 * 60_000 })), taken);
    const unsigned = { headers: { "x-amz-content-sha256": "UNSIGNED-PAYLOAD" } };
    assert.deepEqual(await answer(ask({ ...unsigned, sent: "another" })), taken);
    assert.equal((await storage.head("signed"))?.size, 7);
  },
});

Deno.test({
  name: "S3Storage lists only its own objects, and none outside its prefix",
  ...options,
  fn: async () => {
    const prefix = prefixOfItsOwn();
    await using inside = new S3Storage({ ...parseS3Url(server.url), prefix });
    await using deeper = new S3Storage({ ...parseS3Url(server.url), prefix: `${prefix}.` });
    await using whole = new S3Storage({ ...parseS3Url(server.url), prefix: "" });
    for (let i = 0; i < 5; i++) await deeper.put(`deep-${i}`, text("x"));
    await whole.put(crypto.randomUUID(), text("x"));
    await inside.put("mine", text("x"));
    assert.deepEqual(await keys(inside, 2), ["mine"]);
    assert.equal((await keys(deeper, 2)).length, 5);
  },
});

Deno.test({
  name: "S3Storage leaves no part of a failed long upload",
  ...options,
  fn: async () => {
    await using storage = open();
    const source = new ReadableStream<Uint8Array>({
      pull(controller) {
        controller.enqueue(new Uint8Array(1024 * 1024));
        if (sent++ === 20) controller.error(new Error("The source broke"));
      },
    });
    let sent = 0;
    const calls: string[] = [];
    const fetch = globalThis.fetch;
    globalThis.fetch = (address, init) => {
      calls.push(`${init?.method} ${new URL(String(address)).search.replace(/=[^&]*/g, "")}`);
      return fetch(address, init);
    };
    try {
      await fails("refused", storage.put("a", source));
    } finally {
      globalThis.fetch = fetch;
    }
    assert.deepEqual([calls.at(0), calls.at(-1)], ["POST ?uploads", "DELETE ?uploadId"]);
    assert.equal(await storage.head("a"), undefined);
  },
});

Deno.test({
  name: "S3Storage without its bucket fails, which differs from a missing object",
  ...options,
  fn: async () => {
    await using storage = new S3Storage({ ...parseS3Url(server.url), bucket: "elsewhere" });
    await fails("fault", storage.get("a"));
    await fails("fault", storage.put("a", text("x")));
    await fails("fault", storage.list({ limit: 1 }));
  },
});

Deno.test("S3Storage is unavailable without a server", async () => {
  await using storage = new S3Storage(parseS3Url(`s3://a:b@127.0.0.1:${await freePort()}/photos?tls=false`));
  await fails("unavailable", storage.head("a"));
});

Deno.test("An S3 address is complete or rejected with a reason, without its secret", () => {
  assert.deepEqual(parseS3Url("s3://ACCESS:a%2Fb%2B@s3.example.org:9000/photos?region=eu-west-1&prefix=/x/y/"), {
    endpoint: "https://s3.example.org:9000",
    bucket: "photos",
    region: "eu-west-1",
    accessKeyId: "ACCESS",
    secretAccessKey: "a/b+",
    prefix: "x/y/",
  });
  assert.equal(parseS3Url("s3://a:b@h:1/photos?tls=false").endpoint, "http://h:1");
  assert.equal(parseS3Url("http://a:b@h:1/photos").endpoint, "http://h:1");
  assert.equal(parseS3Url("https://a:b@h/photos").endpoint, "https://h");
  const broken: [string, RegExp][] = [
    ["photos", /is not a valid address/],
    ["ftp://a:TOPSECRET@h/photos", /is not a valid address/],
    ["s3://h/photos", /lacks the access key/],
    ["s3://a:TOPSECRET@h", /has no bucket/],
    ["s3://a:TOPSECRET@h/photos/more", /or more after it/],
    ["s3://a:TOPSECRET@h/photos?tls=maybe", /tls=maybe/],
    ["s3://a:TOPSECRET@h/photos?regoin=x", /regoin/],
    ["s3://a:TOPSECRET@h/photos?prefix=a%20b", /prefix/],
    ["s3://a:TOPSECRET%zz@h/photos", /is not percent-encoded/],
  ];
  for (const [address, message] of broken) {
    assert.throws(() => parseS3Url(address), (error: Error) => {
      assert.match(error.message, message);
      assert.ok(!error.message.includes("TOPSECRET"));
      return true;
    });
  }
});

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

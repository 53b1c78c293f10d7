/** Rejected and aborted uploads store nothing. */
import assert from "node:assert/strict";
import { sharedApp } from "../support/app.ts";
import type { Person } from "../support/person.ts";
import { failedPost } from "../support/failed_post.ts";
import { jpegOf, pngOf } from "../support/pictures.ts";
import { until } from "../support/wait.ts";
import { bearer, form, photosOf, type Post } from "../support/photos.ts";

const app = sharedApp();
const { stored } = photosOf(app);

const wide = await pngOf(800, 400);
const png = { name: "wide.png", data: wide.toBase64() };

/** What is stored when no photo of an earlier test is still being cropped or deleted. */
async function storedAtRest(): Promise<string[]> {
  await until("no photo of an earlier test is in work", async () => {
    const [row] = await app.ctx.sql.query<{ busy: boolean }>(
      `select exists (select from unowned_files)
        or exists (select from jobs where kind like 'photo.%' and state <> 'dead') as busy`,
    );
    return !row!.busy;
  });
  return await stored();
}

Deno.test("An invalid photo is rejected by its field, and nothing of the request is stored", async () => {
  const ada = await app.person();
  const before = await storedAtRest();
  const gif = new TextEncoder().encode("GIF89a\x01\x00\x01\x00\x00\x00\x00;");
  const cases: [string, { name: string; data: string }][] = [
    ["base64", { name: "a.png", data: "no base64!" }],
    ["format", { name: "a.png", data: gif.toBase64() }],
    ["no_image", { name: "a.jpg", data: new TextEncoder().encode("<html>").toBase64() }],
    ["extension", { name: "a.jpg", data: png.data }],
    ["extension", { name: "a.gif", data: png.data }],
    ["extension", { name: "png", data: png.data }],
    ["no_image", { name: "a.png", data: "" }],
    ["no_image", { name: "a.png", data: wide.subarray(0, 20).toBase64() }],
  ];
  for (const [rule, bad] of cases) {
    const { errors } = await app.refused("validation", "POST", `/pages/${ada.page_id}/posts`, {
      token: ada.token,
      body: { text: "With three", photos: [png, png, bad] },
    });
    assert.deepEqual(errors.map((e: { path: string; rule: string }) => [e.path, e.rule]), [["photos.2.data", rule]]);
  }
  const long = new Uint8Array(16_000_000);
  long.set(wide);
  const noise = crypto.getRandomValues(new Uint8Array(60_000));
  for (const [rule, bytes] of [["format", gif], ["too_large", long], ["no_image", noise]] as const) {
    const { errors } = await app.refused("validation", "POST", `/pages/${ada.page_id}/posts`, {
      token: ada.token,
      body: form([["a.png", wide], ["b.png", bytes]]),
    });
    assert.deepEqual([errors[0].path, errors[0].rule], ["photos.1.data", rule]);
  }
  assert.deepEqual((await app.ok("GET", `/pages/${ada.page_id}/posts`, { token: ada.token })).items, []);
  await until("an empty storage", async () => (await stored()).length <= before.length);
});

Deno.test("A photo that is damaged behind its header is rejected by its field, and no post remains", async () => {
  const [ada, fan] = await app.people(2);
  await app.follow(fan!, ada!.page_id);
  const path = `/pages/${ada!.page_id}/posts`;
  const { token } = ada!;
  // The photo starts the process that crops, so that no refusal below comes too late for its answer.
  const original = await app.post(ada!, { photos: [png] });
  const before = await storedAtRest();
  await using listener = await app.listen(fan!.token);
  const half = wide.subarray(0, Math.floor(wide.length / 2));
  const broken = { name: "b.png", data: half.toBase64() };
  const rules = async (body: unknown) =>
    (await app.refused("validation", "POST", path, { token, body })).errors.map(
      ({ path, rule }: { path: string; rule: string }) => `${path} ${rule}`,
    );
  assert.deepEqual(await rules({ photos: [broken] }), ["photos.0.data no_image"]);
  assert.deepEqual(await rules({ text: "Three", photos: [png, broken, png] }), ["photos.1.data no_image"]);
  assert.deepEqual(await rules({ photos: [broken, png, broken], reply_to: original.id }), [
    "photos.0.data no_image",
    "photos.2.data no_image",
  ]);
  const cut = (await jpegOf(900, 700)).subarray(0, 9_000);
  assert.deepEqual(await rules(form([["a.png", wide], ["b.jpg", cut]])), ["photos.1.data no_image"]);
  for (const state of ["ready", "processing", "failed"]) {
    const { items } = await app.ok("GET", `${path}?state=${state}`, { token });
    assert.deepEqual(items.map(({ id }: Post) => id), state === "ready" ? [original.id] : [], state);
  }
  assert.equal((await app.ok("GET", `/pages/${ada!.page_id}`, { token })).post_count, 1);
  assert.equal((await app.ok("GET", `/posts/${original.id}`, { token })).reply_count, 0);
  await until("an empty storage", async () => (await stored()).length <= before.length);
  // The next frame of the follower is the next post.
  const next = await app.post(ada!, { text: "Next" });
  const frame = await listener.next("post.created");
  assert.equal(frame.data.id, next.id);
});

Deno.test("After such a rejection the Idempotency-Key is free for a valid photo", async () => {
  const ada = await app.person();
  const path = `/pages/${ada.page_id}/posts`;
  const headers = { "idempotency-key": crypto.randomUUID() };
  const broken = { name: "b.png", data: wide.subarray(0, 900).toBase64() };
  for (let i = 0; i < 2; i++) {
    const { errors } = await app.refused("validation", "POST", path, {
      token: ada.token,
      headers,
      body: { photos: [broken] },
    });
    assert.equal(errors[0].path, "photos.0.data");
  }
  const post = await app.ok("POST", path, { token: ada.token, headers, body: { photos: [png] } });
  assert.equal((await app.ok("POST", path, { token: ada.token, headers, body: { photos: [png] } })).id, post.id);
});

Deno.test("A photo that fails later leaves a failed post, whose other photos can be published", async () => {
  const ada = await app.person();
  const { token } = ada;
  const whole = await jpegOf(900, 700);
  const { id, photos } = await failedPost(app, ada, "Two", whole, whole.subarray(0, 9_000));
  assert.deepEqual(photos.map((photo: Post) => [photo.state, photo.problem]), [["ready", null], [
    "failed",
    "no-image",
  ]]);
  const again = await app.call("POST", `/posts/${id}/retry`, { token });
  assert.deepEqual([again.status, again.body.state], [202, "failed"]);
  const rest = await app.ok("PATCH", `/posts/${id}`, { token, body: { photos: [photos[0].id] } });
  assert.equal(rest.state, "ready");
  assert.equal((await app.ok("GET", "/feed", { token })).items[0].id, id);
});

Deno.test("Incomplete forms, forms with too many parts and forms with unknown fields are rejected", async () => {
  const ada = await app.person();
  const path = `/pages/${ada.page_id}/posts`;
  const raw = (body: string, type = "multipart/form-data; boundary=x") =>
    app.call("POST", path, { token: ada.token, body, headers: { "content-type": type } });
  assert.equal((await raw('--x\r\nContent-Disposition: form-data; name="text"\r\n\r\nhalf')).slug, "invalid-body");
  assert.equal((await raw("", "multipart/form-data; boundary=x")).slug, "invalid-body");
  assert.equal((await raw("x", "multipart/form-data; nothing=x")).slug, "invalid-body");
  const eleven = form(Array.from({ length: 11 }, (_, i) => [`${i}.png`, wide]));
  assert.equal(
    (await app.refused("validation", "POST", path, { token: ada.token, body: eleven })).errors[0].path,
    "photos",
  );
  const foreign = form([["a.png", wide]], { colour: "red" });
  assert.equal(
    (await app.refused("validation", "POST", path, { token: ada.token, body: foreign })).errors[0].rule,
    "unknown_field",
  );
  for (const name of ["constructor", "__proto__", "toString", "hasOwnProperty"]) {
    const body = form([["a.png", wide]], { [name]: "x" });
    assert.equal(
      (await app.refused("validation", "POST", path, { token: ada.token, body })).errors[0].rule,
      "unknown_field",
    );
  }
  for (const fields of [{ text: "a\0b" }, { place: "a\0b" }, { alt: "a\0b" }]) {
    await app.refused("validation", "POST", path, { token: ada.token, body: form([["a.png", wide]], fields) });
  }
  for (const name of [`${"a".repeat(199)}😀.png`, `${"ü".repeat(300)}.png`]) {
    await app.ok("POST", path, { token: ada.token, body: form([[name, wide]]) });
  }
  const twice = form([["a.png", wide]], { text: "one" });
  twice.append("text", "two");
  assert.equal(
    (await app.refused("validation", "POST", path, { token: ada.token, body: twice })).errors[0].rule,
    "too_many",
  );
  for (const body of [{}, { text: "  " }, { photos: [] }, form([])]) {
    await app.refused(body instanceof FormData ? "invalid-body" : "validation", "POST", path, {
      token: ada.token,
      body,
    })
      .catch(async () => await app.refused("validation", "POST", path, { token: ada.token, body }));
  }
});

Deno.test("An upload that ends early leaves nothing", async () => {
  const ada = await app.person();
  const before = await storedAtRest();
  const head = `--x\r\nContent-Disposition: form-data; name="photos"; filename="a.png"\r\n\r\n`;
  const parts = [new TextEncoder().encode(head), wide.slice(0, 600)];
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      const part = parts.shift();
      if (part) return controller.enqueue(part);
      await until("nothing", async () => (await stored()).length > before.length, { timeoutMs: 300 })
        .catch(
          () => {},
        );
      controller.error(new Error("the caller has disconnected"));
    },
  });
  const headers = { ...bearer(ada), "content-type": "multipart/form-data; boundary=x" };
  await assert.rejects(fetch(`${app.url}/api/v1/pages/${ada.page_id}/posts`, { method: "POST", headers, body }));
  await until("no jobs are left", async () => {
    const [row] = await app.ctx.sql.query<{ n: number }>("select count(*) as n from unowned_files");
    return row!.n === 0 && (await stored()).length <= before.length ? true : undefined;
  });
});

Deno.test("A post to another person's page is rejected before a long body is read", async () => {
  const [ada, bob] = await app.people(2);
  await app.refused("forbidden", "POST", `/pages/${ada!.page_id}/posts`, {
    token: bob!.token,
    body: form([["a.png", new Uint8Array(3_000_000)]]),
  });
});

Deno.test("One account has at most two places for long uploads, which become free again", async () => {
  const [ada, bob] = await app.people(2) as [Person, Person];
  const { promise: gate, resolve: open } = Promise.withResolvers<void>();
  const slow = () => {
    const parts = [`--x\r\nContent-Disposition: form-data; name="text"\r\n\r\nslow`, "\r\n--x--\r\n"];
    return new ReadableStream<Uint8Array>({
      async pull(controller) {
        if (parts.length === 1) await gate;
        controller.enqueue(new TextEncoder().encode(parts.shift()));
        if (parts.length === 0) controller.close();
      },
    });
  };
  const send = () =>
    fetch(`${app.url}/api/v1/pages/${ada.page_id}/posts`, {
      method: "POST",
      headers: { ...bearer(ada), "content-type": "multipart/form-data; boundary=x" },
      body: slow(),
    });
  const sent = Array.from({ length: 3 }, send);
  // After one of the three is refused, the others hold the places.
  const refused = await Promise.race(sent);
  assert.equal(refused.status, 503);
  await refused.body?.cancel();
  const another = () =>
    app.call("POST", `/pages/${ada.page_id}/posts`, { token: ada.token, body: form([["a.png", wide]]) });
  assert.equal((await another()).status, 503);
  await app.ok("POST", `/pages/${bob.page_id}/posts`, { token: bob.token, body: form([["a.png", wide]]) });
  open();
  const held = (await Promise.all(sent)).filter((response) => response !== refused);
  for (const response of held) assert.equal((await response.json()).text, "slow");
  assert.equal((await another()).status, 201);
});

import assert from "node:assert/strict";
import { type Person, sharedApp } from "../support/app.ts";
import { failedPost } from "../support/failed_post.ts";
import { jpegOf, pngOf, webpOf } from "../support/pictures.ts";
import { until } from "../support/wait.ts";

const app = sharedApp();
type Post = Awaited<ReturnType<typeof app.post>>;

const wide = await pngOf(800, 400);
const png = { name: "wide.png", data: wide.toBase64() };

/** As a browser asks: the picture's bytes, or why not. */
async function read(url: string, headers: Record<string, string> = {}) {
  const response = await fetch(app.url + url, { headers });
  return { status: response.status, headers: response.headers, bytes: new Uint8Array(await response.arrayBuffer()) };
}

const bearer = ({ token }: Person) => ({ authorization: `Bearer ${token}` });

async function stored(): Promise<string[]> {
  return (await app.ctx.storage.list({ limit: 1_000 })).map(({ key }) => key);
}

/** What this post's photos are kept under. */
function keysOf(post: Post): string[] {
  return post.photos.map(({ url }: { url: string }) => url.split("/").at(-1)!);
}

function form(files: [name: string, bytes: Uint8Array][], fields: Record<string, string> = {}): FormData {
  const body = new FormData();
  for (const [name, value] of Object.entries(fields)) body.append(name, value);
  for (const [name, bytes] of files) body.append("photos", new Blob([bytes as BlobPart]), name);
  return body;
}

Deno.test("A post with a photo in its JSON is answered when the square is ready", async () => {
  const ada = await app.person();
  const answer = await app.call("POST", `/pages/${ada.page_id}/posts`, { token: ada.token, body: { photos: [png] } });
  assert.equal(answer.status, 201);
  const { state, photos: [photo], published_at } = answer.body;
  assert.equal(state, "ready");
  assert.ok(published_at);
  assert.deepEqual([photo.width, photo.height, photo.state], [400, 400, "ready"]);
  assert.deepEqual(photo.variants.map(({ width }: { width: number }) => width), [320]);
  assert.match(photo.placeholder, /^[\w#$%*+,.:;=?@[\]^_{|}~-]{6,}$/);
  const { status, headers } = await read(photo.url);
  assert.equal(status, 200);
  assert.match(headers.get("content-type")!, /^image\/(jpeg|webp)$/);
  assert.equal(headers.get("cache-control"), "public, max-age=60");
  assert.equal((await read(photo.variants[0].url)).status, 200);
});

Deno.test("A post takes photos as multipart/form-data, in their order, with words for each", async () => {
  const ada = await app.person();
  const body = form([["one.jpg", await jpegOf(300, 200)], ["two.webp", await webpOf(200, 300)]], { text: "Two" });
  body.append("alt", "The first");
  body.append("alt", "The second");
  const post = await app.ok("POST", `/pages/${ada.page_id}/posts`, { token: ada.token, body });
  assert.equal(post.text, "Two");
  assert.deepEqual(post.photos.map(({ width, alt }: { width: number; alt: string }) => [width, alt]), [
    [200, "The first"],
    [200, "The second"],
  ]);
  const feed = await app.ok("GET", "/feed", { token: ada.token });
  assert.deepEqual(feed.items[0].photos, post.photos);
});

Deno.test("A photo that breaks a rule is refused by its field, and nothing of the request stays", async () => {
  const ada = await app.person();
  const before = await stored();
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

Deno.test("A photo that is broken behind its header is refused by its field, and it is as if there had been no post", async () => {
  const [ada, fan] = await app.people(2);
  await app.follow(fan!, ada!.page_id);
  const path = `/pages/${ada!.page_id}/posts`;
  const { token } = ada!;
  const original = await app.post(ada!);
  const before = await stored();
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
  // What the follower hears next is the next post.
  const next = await app.post(ada!, { text: "Next" });
  const frame = await listener.next("post.created");
  assert.equal(frame.data.id, next.id);
});

Deno.test("After such a refusal the Idempotency-Key is free for a photo that can be decoded", async () => {
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

Deno.test("A photo that proves broken later leaves a failed post, of which the rest can be published", async () => {
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

Deno.test("A picture of a person or page that is broken behind its header is refused by its field", async () => {
  const ada = await app.person();
  const half = wide.subarray(0, Math.floor(wide.length / 2));
  const body = new FormData();
  body.append("file", new Blob([half as BlobPart]), "a.png");
  for (const path of [`/users/${ada.id}/avatar`, `/pages/${ada.page_id}/avatar`]) {
    const json = await app.refused("photo-unreadable", "PUT", path, {
      token: ada.token,
      body: { name: "a.png", data: half.toBase64() },
    });
    assert.deepEqual([json.errors[0].path, json.errors[0].rule], ["data", "no_image"]);
    assert.equal(
      (await app.refused("photo-unreadable", "PUT", path, { token: ada.token, body })).errors[0].path,
      "file",
    );
  }
});

Deno.test("Bodies that are no whole form, have too much in them or fields of their own are refused", async () => {
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

Deno.test("An upload that breaks off leaves nothing", async () => {
  const ada = await app.person();
  const before = await stored();
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
      controller.error(new Error("the caller is gone"));
    },
  });
  const headers = { ...bearer(ada), "content-type": "multipart/form-data; boundary=x" };
  await assert.rejects(fetch(`${app.url}/api/v1/pages/${ada.page_id}/posts`, { method: "POST", headers, body }));
  await until("nothing left", async () => {
    const [row] = await app.ctx.sql.query<{ n: number }>("select count(*) as n from unowned_files");
    return row!.n === 0 && (await stored()).length <= before.length ? true : undefined;
  });
});

Deno.test("Somebody else's page is refused before a long body is read", async () => {
  const [ada, bob] = await app.people(2);
  await app.refused("forbidden", "POST", `/pages/${ada!.page_id}/posts`, {
    token: bob!.token,
    body: form([["a.png", new Uint8Array(3_000_000)]]),
  });
});

Deno.test("Nobody holds more than two places for long uploads, and the places are free again", async () => {
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
  // Once one of the three is refused, the others hold the places.
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

Deno.test("A photo of a private page is shown to those who may see the post at that moment, and to nobody else", async () => {
  const [ada, fan, stranger] = await app.people(3) as [Person, Person, Person];
  const page = await app.page(ada, { is_private: true });
  await app.follow(fan, page.id);
  await app.ok("POST", `/pages/${page.id}/requests/accept`, { token: ada.token, body: { all: true } });
  const post = await app.post(ada, { photos: [png] }, page.id);
  const { url, variants: [variant] } = post.photos[0];
  for (const address of [url, variant.url]) {
    assert.equal((await read(address)).status, 404);
    assert.equal((await read(address, bearer(stranger))).status, 404);
    const seen = await read(address, bearer(fan));
    assert.equal(seen.status, 200);
    assert.equal(seen.headers.get("cache-control"), "private, no-store");
  }
  await app.ok("DELETE", `/pages/${page.id}/followers/${fan.id}`, { token: ada.token });
  assert.equal((await read(url, bearer(fan))).status, 404);
  await app.ok("PATCH", `/pages/${page.id}`, { token: ada.token, body: { is_private: false } });
  assert.equal((await read(url)).status, 200);
  await app.ok("PATCH", `/pages/${page.id}`, { token: ada.token, body: { is_private: true } });
  assert.equal((await read(url)).status, 404);
});

Deno.test("A photo has an ETag, is read in parts, and is never more than asked for", async () => {
  const ada = await app.person();
  const { url } = (await app.post(ada, { photos: [png] })).photos[0];
  const whole = await read(url);
  const etag = whole.headers.get("etag")!;
  assert.equal((await read(url, { "if-none-match": etag })).status, 304);
  const part = await read(url, { range: "bytes=10-19" });
  assert.equal(part.status, 206);
  assert.equal(part.headers.get("content-range"), `bytes 10-19/${whole.bytes.length}`);
  assert.deepEqual(part.bytes, whole.bytes.slice(10, 20));
  assert.deepEqual((await read(url, { range: "bytes=20-" })).bytes, whole.bytes.slice(20));
  assert.equal((await read(url, { range: `bytes=${whole.bytes.length}-` })).status, 416);
  const head = await fetch(app.url + url, { method: "HEAD" });
  assert.equal(head.headers.get("content-length"), String(whole.bytes.length));
  for (const bad of ["/1080", "/100", "/x", "/.."]) assert.equal((await read(url + bad)).status, 404, bad);
});

Deno.test("Deleting a post, a page or an account deletes the files, and the links are dead at once", async () => {
  const admin = await app.admin();
  const ada = await app.person();
  const page = await app.page(ada);
  const posts = [
    await app.post(ada, { photos: [png, png] }),
    await app.post(ada, { photos: [png] }, page.id),
    await app.post(ada, { photos: [png] }),
  ];
  const keys = posts.map(keysOf);
  const deletions: [string, string, Person][] = [
    ["DELETE", `/posts/${posts[0].id}`, ada],
    ["DELETE", `/pages/${page.id}`, ada],
    ["DELETE", `/users/${ada.id}`, admin],
  ];
  for (const [i, [method, path, { token }]] of deletions.entries()) {
    await app.ok(method, path, { token });
    assert.equal((await read(posts[i].photos[0].url)).status, 404);
    await until("files gone", async () => {
      const left = await stored();
      return keys[i]!.some((key) => left.some((name) => name.startsWith(key))) ? undefined : true;
    });
  }
});

Deno.test("Photos of a post are reordered and removed by its owner, and what is left is never nothing", async () => {
  const ada = await app.person();
  const post = await app.post(ada, { text: undefined, photos: [png, png, png] });
  const [a, b, c] = post.photos.map(({ id }: { id: string }) => id);
  const patch = (body: unknown) => app.call("PATCH", `/posts/${post.id}`, { token: ada.token, body });
  const { body } = await patch({ photos: [c, a] });
  assert.deepEqual(body.photos.map(({ id }: { id: string }) => id), [c, a]);
  assert.equal((await read(post.photos[1].url)).status, 404);
  for (const bad of [{ photos: [b] }, { photos: [c, c] }, { photos: [crypto.randomUUID()] }, { photos: [] }]) {
    assert.equal((await patch(bad)).slug, "validation", JSON.stringify(bad));
  }
  assert.deepEqual((await patch({ photos: [], text: "Words" })).body.photos, []);
  assert.equal((await patch({ text: " " })).slug, "validation");
});

Deno.test("The same upload under one key is one post, and its second files go", async () => {
  const ada = await app.person();
  const headers = { "idempotency-key": crypto.randomUUID() };
  const send = () =>
    app.call("POST", `/pages/${ada.page_id}/posts`, { token: ada.token, headers, body: form([["a.png", wide]]) });
  const first = await send();
  assert.equal(first.status, 201);
  const again = await send();
  assert.deepEqual([again.status, again.body], [201, first.body]);
  const other = form([["a.png", await pngOf(10, 10)]]);
  assert.equal(
    (await app.call("POST", `/pages/${ada.page_id}/posts`, { token: ada.token, headers, body: other })).slug,
    "idempotency-key-reused",
  );
  assert.equal((await app.ok("GET", `/pages/${ada.page_id}/posts`, { token: ada.token })).items.length, 1);
  await until(
    "no staged file",
    async () => (await stored()).some((key) => key.startsWith("staged-")) ? undefined : true,
  );
});

Deno.test("A person and a page have a picture, which replaces the one before and can be taken away", async () => {
  const [ada, bob] = await app.people(2) as [Person, Person];
  for (
    const [path, shownAt] of [
      [`/users/${ada.id}/avatar`, "/users/me"],
      [`/pages/${ada.page_id}/avatar`, `/pages/${ada.page_id}`],
    ] as const
  ) {
    const body = new FormData();
    body.append("file", new Blob([wide as BlobPart]), "me.png");
    const { avatar_url: first } = await app.ok("PUT", path, { token: ada.token, body });
    assert.equal((await read(first)).status, 200);
    const { avatar_url: second } = await app.ok("PUT", path, { token: ada.token, body: png });
    assert.notEqual(second, first);
    assert.equal((await read(first)).status, 404);
    assert.equal((await app.ok("GET", shownAt, { token: ada.token })).avatar_url, second);
    const misnamed = await app.refused("validation", "PUT", path, {
      token: ada.token,
      body: { ...png, name: "me.jpg" },
    });
    assert.equal(misnamed.errors[0].path, "data");
    const misformed = new FormData();
    misformed.append("file", new Blob([wide as BlobPart]), "me.jpg");
    const refused = await app.refused("validation", "PUT", path, { token: ada.token, body: misformed });
    assert.equal(refused.errors[0].path, "file");
    // What only the crop can tell; the old picture stays.
    const cut = { name: "cut.jpg", data: (await jpegOf(300, 200)).slice(0, -200).toBase64() };
    await app.refused("photo-unreadable", "PUT", path, { token: ada.token, body: cut });
    if (shownAt === "/users/me") {
      await app.follow(bob, ada.page_id);
      await app.post(ada);
      assert.equal((await app.ok("GET", "/feed", { token: bob.token })).items[0].author.avatar_url, second);
      assert.equal((await app.ok("GET", `/people/${ada.login}`, { token: bob.token })).avatar_url, second);
    }
    assert.equal((await app.ok("DELETE", path, { token: ada.token })).avatar_url, null);
    assert.equal((await read(second)).status, 404);
  }
});

Deno.test("A picture of a blocked page is shown to staff alone", async () => {
  const [ada, moderator] = [await app.person(), await app.moderator()];
  const page = await app.page(ada);
  const { avatar_url } = await app.ok("PUT", `/pages/${page.id}/avatar`, { token: ada.token, body: png });
  const until = new Date(Date.now() + 60_000).toISOString();
  await app.ok("POST", `/pages/${page.id}/block`, { token: moderator.token, body: { reason: "spam", until } });
  assert.equal((await read(avatar_url)).status, 404);
  assert.equal((await read(avatar_url, bearer(moderator))).status, 200);
});

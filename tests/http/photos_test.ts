import assert from "node:assert/strict";
import { sharedApp } from "../support/app.ts";
import type { Person } from "../support/person.ts";
import { jpegOf, pngOf, webpOf } from "../support/pictures.ts";
import { until } from "../support/wait.ts";
import { bearer, form, keysOf, photosOf } from "../support/photos.ts";
import { readyPost } from "../support/ready_post.ts";

const app = sharedApp();
const { read, stored } = photosOf(app);

const wide = await pngOf(800, 400);
const png = { name: "wide.png", data: wide.toBase64() };

Deno.test("A post with a photo in its JSON is answered when the square is ready", async () => {
  const ada = await app.person();
  // The first one starts the process that crops.
  await app.post(ada, { photos: [png] });
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

Deno.test("A post accepts photos as multipart/form-data, in order, with an alternative text each", async () => {
  const ada = await app.person();
  const body = form([["one.jpg", await jpegOf(300, 200)], ["two.webp", await webpOf(200, 300)]], { text: "Two" });
  body.append("alt", "The first");
  body.append("alt", "The second");
  const answer = await app.ok("POST", `/pages/${ada.page_id}/posts`, { token: ada.token, body });
  const post = await readyPost(app, ada.token, answer);
  assert.equal(post.text, "Two");
  assert.deepEqual(post.photos.map(({ width, alt }: { width: number; alt: string }) => [width, alt]), [
    [200, "The first"],
    [200, "The second"],
  ]);
  const feed = await app.ok("GET", "/feed", { token: ada.token });
  assert.deepEqual(feed.items[0].photos, post.photos);
});

Deno.test("A photo of a private page is shown only to those who may see the post at that moment", async () => {
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

Deno.test("A photo has an ETag, supports ranges, and is sent only as requested", async () => {
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

Deno.test("Deleting a post, a page or an account deletes the files, and the links fail at once", async () => {
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
    await until("the files are deleted", async () => {
      const left = await stored();
      return keys[i]!.some((key) => left.some((name) => name.startsWith(key))) ? undefined : true;
    });
  }
});

Deno.test("An owner reorders and removes photos of a post, which must not become empty", async () => {
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

Deno.test("The same upload under one key is one post, and its second files are deleted", async () => {
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

/** The pictures of people and pages. */
import assert from "node:assert/strict";
import { sharedApp } from "../support/app.ts";
import type { Person } from "../support/person.ts";
import { jpegOf, pngOf } from "../support/pictures.ts";
import { bearer, photosOf } from "../support/photos.ts";
import { readyAvatar } from "../support/ready_avatar.ts";

const app = sharedApp();
const { read } = photosOf(app);

const wide = await pngOf(800, 400);
const png = { name: "wide.png", data: wide.toBase64() };

Deno.test("A damaged picture of a person or page is rejected by its field", async () => {
  const ada = await app.person();
  // The first photo starts the process that crops, so that no refusal below comes too late for its answer.
  await app.post(ada, { photos: [png] });
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

Deno.test("A person and a page have a picture, which can be replaced and removed", async () => {
  const [ada, bob] = await app.people(2) as [Person, Person];
  for (
    const [path, shownAt] of [
      [`/users/${ada.id}/avatar`, "/users/me"],
      [`/pages/${ada.page_id}/avatar`, `/pages/${ada.page_id}`],
    ] as const
  ) {
    const picture = { token: ada.token, path, shownAt };
    const body = new FormData();
    body.append("file", new Blob([wide as BlobPart]), "me.png");
    const first = await readyAvatar(app, { ...picture, body });
    assert.equal((await read(first)).status, 200);
    const second = await readyAvatar(app, { ...picture, body: png });
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
    // Only the crop can detect this; the old picture stays.
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

Deno.test("A picture of a blocked page is shown to staff only", async () => {
  const [ada, moderator] = [await app.person(), await app.moderator()];
  const page = await app.page(ada);
  const shownAt = `/pages/${page.id}`;
  const avatar_url = await readyAvatar(app, { token: ada.token, path: `${shownAt}/avatar`, shownAt, body: png });
  const until = new Date(Date.now() + 60_000).toISOString();
  await app.ok("POST", `/pages/${page.id}/block`, { token: moderator.token, body: { reason: "spam", until } });
  assert.equal((await read(avatar_url)).status, 404);
  assert.equal((await read(avatar_url, bearer(moderator))).status, 200);
});

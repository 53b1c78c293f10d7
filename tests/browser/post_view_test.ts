import assert from "node:assert/strict";
import { sharedApp } from "../support/app.ts";
import type { Person } from "../support/person.ts";
import { counts, like, people } from "../support/notification_page.ts";
import { browserTest, intercept, watch } from "../support/browser.ts";
import { failedPost } from "../support/failed_post.ts";
import { jpegOf } from "../support/pictures.ts";
import { openAs, shot, tokenOf } from "../support/web_page.ts";

const app = sharedApp();

browserTest("A notification opens its post, with its replies and a form to reply", async (browser) => {
  const [ann, bob] = await people(app, "Ann", "Bob") as [Person, Person];
  const post = await app.post(ann, { text: "Who saw the <i>heron</i>?" });
  const page = await browser.newPage();
  const complaints = watch(page, app.url);
  await openAs(page, app, ann);
  const answer = await app.post(bob, { text: "By the pond, at noon", reply_to: post.id });
  await counts(page, 1);
  await page.locator("#bell").click();
  await page.locator("#bell-list").getByRole("button", { name: "Show" }).click();
  const view = page.getByRole("dialog");
  // A reply opens in its own view first.
  await view.locator("#post-itself .text", { hasText: "By the pond, at noon" }).waitFor();
  assert.equal(await page.locator("#bell-panel").isVisible(), false);
  await view.getByRole("button", { name: "Close" }).click();

  await like(app, bob, post.id);
  await counts(page, 2);
  await page.locator("#bell").click();
  await page.locator("#bell-list li", { hasText: "liked" }).getByRole("button", { name: "Show" }).click();
  await view.locator("#post-itself .text", { hasText: "Who saw the <i>heron</i>?" }).waitFor();
  await view.locator("#answers .text", { hasText: "By the pond" }).waitFor();
  await view.getByLabel("Reply on your page").fill("Thank you!");
  await view.getByRole("button", { name: "Reply", exact: true }).click();
  await view.locator("#answers .text", { hasText: "Thank you!" }).waitFor();
  await view.locator("#answers li", { hasText: "By the pond" }).locator(".like").click();
  await view.locator("#answers .like[aria-pressed=true]:not([aria-busy])").waitFor();
  await shot(page, "post");
  // It is updated while it is shown.
  await app.ok("DELETE", `/posts/${post.id}`, { token: await tokenOf(page) });
  await view.waitFor({ state: "hidden" });

  const feed = page.locator("#posts li", { hasText: "Thank you!" });
  await feed.getByRole("button", { name: "replies" }).click();
  await view.locator("#post-itself .text", { hasText: "Thank you!" }).waitFor();
  await page.keyboard.press("Escape");
  await view.waitFor({ state: "hidden" });
  assert.equal((await app.ok("GET", `/posts/${answer.id}`, { token: await tokenOf(page) })).liked, true);
  assert.deepEqual(complaints, []);
});

browserTest(
  "A deleted post is reported as deleted, and a follow request can be answered in the notification list",
  async (browser) => {
    const [ann, bob, eve] = await people(app, "Ann", "Bob", "Eve") as [Person, Person, Person];
    await app.ok("PATCH", `/pages/${ann.page_id}`, { token: ann.token, body: { is_private: true } });
    const post = await app.post(ann);
    const page = await browser.newPage();
    await openAs(page, app, ann);
    for (const asking of [bob, eve]) await app.follow(asking, ann.page_id);
    await counts(page, 2);
    await page.locator("#bell").click();
    const item = (name: string) => page.locator("#bell-list li", { hasText: name });
    assert.equal(await item("Bob").getByRole("button", { name: "Show" }).isVisible(), false);
    await item("Bob").getByRole("button", { name: "Accept" }).click();
    await item("Bob").getByRole("button", { name: "Accept" }).waitFor({ state: "hidden" });
    await item("Eve").getByRole("button", { name: "Reject" }).click();
    await item("Eve").getByRole("button", { name: "Reject" }).waitFor({ state: "hidden" });
    const { items } = await app.ok("GET", `/pages/${ann.page_id}/followers`, { token: await tokenOf(page) });
    assert.deepEqual(items.map(({ id }: { id: string }) => id), [bob.id]);

    await like(app, bob, post.id);
    await item("liked").waitFor();
    await intercept(page, `**/posts/${post.id}`, async (route) => {
      await app.ok("DELETE", `/posts/${post.id}`, { token: await tokenOf(page) });
      await route.continue();
    }, { times: 1 });
    await item("liked").getByRole("button", { name: "Show" }).click();
    await page.locator("#post-notice.bad", { hasText: "no post" }).waitFor();
  },
);

browserTest("A post with an unusable photo shows the reason, can be retried, and is published", async (browser) => {
  const person = await app.person();
  const page = await browser.newPage();
  await openAs(page, app, person);
  const whole = await jpegOf(900, 700);
  await failedPost(
    app,
    Object.assign(person.at(app), { token: await tokenOf(page) }),
    "Half a picture",
    whole.subarray(0, whole.length / 2),
  );
  await page.reload();
  const item = page.locator("#unready-posts li", { hasText: "Half a picture" });
  await item.getByText("A picture cannot be read").waitFor();
  const retried = page.waitForResponse((response) => response.url().endsWith("/retry"));
  await item.getByRole("button", { name: "Try again" }).click();
  await retried;
  // The picture is still damaged.
  await item.getByRole("button", { name: "Try again" }).waitFor();
  await shot(page, "unready");
  await page.reload();
  await item.getByRole("button", { name: "Delete" }).click();
  await page.locator("#unready").waitFor({ state: "hidden" });
  const failed = `/pages/${person.page_id}/posts?state=failed`;
  assert.deepEqual((await app.ok("GET", failed, { token: await tokenOf(page) })).items, []);
});

import assert from "node:assert/strict";
import { sharedApp } from "../support/app.ts";
import type { Person } from "../support/person.ts";
import { counts, like, people, says } from "../support/notification_page.ts";
import { browserTest, intercept } from "../support/browser.ts";
import { openAs } from "../support/web_page.ts";

const app = sharedApp();

browserTest("Notification settings are saved, and a rejected change is reset", async (browser) => {
  const [ann, bob] = await people(app, "Ann", "Bob") as [Person, Person];
  const post = await app.post(ann);
  const page = await browser.newPage();
  await openAs(page, app, ann);
  const open = async () => {
    await page.locator("#bell").click();
    await page.getByText("Settings", { exact: true }).click();
    await page.locator("#bell-settings fieldset:enabled").waitFor();
  };
  const letters = page.getByLabel("Emails about new posts");
  const likes = page.getByLabel("Likes");
  await open();
  assert.deepEqual([await letters.inputValue(), await likes.isChecked()], ["at_once", true]);
  await letters.selectOption("daily");
  await page.locator("#bell-notice", { hasText: "Saved." }).waitFor();
  await intercept(page, "**/notifications/settings", (route) => route.abort());
  await likes.click();
  await page.locator("#bell-notice.bad", { hasText: "cannot be reached" }).waitFor();
  assert.equal(await likes.isChecked(), true);
  await page.unroute("**/notifications/settings");
  await likes.click();
  await page.locator("#bell-notice", { hasText: "Saved." }).waitFor();
  await page.reload();
  await open();
  await page.getByText("Settings", { exact: true }).click();
  const answered = Promise.withResolvers<void>();
  await intercept(page, "**/notifications/settings", (route) => answered.promise.then(() => route.continue()));
  await page.getByText("Settings", { exact: true }).click();
  // Settings that may be outdated cannot be changed.
  await page.locator("#bell-settings fieldset:disabled").waitFor();
  answered.resolve();
  await page.locator("#bell-settings fieldset:enabled").waitFor();
  assert.deepEqual([await letters.inputValue(), await likes.isChecked()], ["daily", false]);
  assert.equal(await page.getByRole("checkbox", { name: "Replies" }).isChecked(), true);
  await like(app, bob, post.id);
  await app.follow(bob, ann.page_id);
  await counts(page, 1);
  await says(page, ["● Bob Lovelace follows you"]);
});

import assert from "node:assert/strict";
import { sharedApp } from "../support/app.ts";
import type { Person } from "../support/person.ts";
import { counts, like, people } from "../support/notification_page.ts";
import { browserTest, intercept } from "../support/browser.ts";
import { until } from "../support/wait.ts";
import { openAs } from "../support/web_page.ts";

const app = sharedApp();

browserTest("Older notifications load page by page, each exactly once", async (browser) => {
  const [ann] = await people(app, "Ann") as [Person];
  const others = await app.people(22);
  for (const other of others) await app.follow(other, ann.page_id);
  const post = await app.post(ann);
  await until(
    "22 notifications",
    async () => (await app.ok("GET", "/notifications", { token: ann.token })).unread === 22 || undefined,
  );
  const page = await browser.newPage();
  await openAs(page, app, ann);
  await counts(page, 22);
  const items = page.locator("#bell-list li");
  const older = page.getByRole("button", { name: "Older" });
  const shows = async (count: number) => {
    await items.nth(count - 1).waitFor();
    const cursors = await items.evaluateAll((all) => all.map((item) => item.getAttribute("data-cursor")));
    assert.deepEqual([cursors.length, new Set(cursors).size], [count, count]);
  };
  const opened = page.waitForResponse("**/notifications?limit=10");
  await page.locator("#bell").click();
  // A list that is read after the like would have it as one of its ten.
  await (await opened).finished();
  await shows(10);
  await like(app, others[0]!, post.id);
  await counts(page, 23);
  await older.click();
  await shows(21);

  // The list is closed and opened while its third page loads.
  const late = page.waitForResponse("**/notifications?limit=10&cursor=*");
  await intercept(page, "**/notifications?limit=10&cursor=*", async (route) => {
    const response = await route.fetch();
    await page.locator("#bell").click();
    const reread = page.waitForResponse("**/notifications?limit=10");
    await page.locator("#bell").click();
    await (await reread).finished();
    await route.fulfill({ response });
  });
  await older.click();
  await (await late).finished();
  await page.locator("#bell-older:not([aria-busy])").waitFor();
  await shows(10);
  await page.unroute("**/notifications?limit=10&cursor=*");
  await older.click();
  await shows(20);
  await older.click();
  await shows(23);
  assert.equal(await older.isVisible(), false);
});

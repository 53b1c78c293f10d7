import assert from "node:assert/strict";
import { sharedApp } from "../support/app.ts";
import type { Person } from "../support/person.ts";
import { counts, heard, like, people, says } from "../support/notification_page.ts";
import { browserTest, intercept, watch } from "../support/browser.ts";
import { until } from "../support/wait.ts";
import { openAs, signIn } from "../support/web_page.ts";

const app = sharedApp();

browserTest(
  "Other people's actions appear live in the notification list, once each, and read ones stay read",
  async (browser) => {
    const [ann, bob, eve] = await people(app, "Ann", "Bob", "Eve") as [Person, Person, Person];
    const post = await app.post(ann, { text: "Hello <b>there</b>" });
    const page = await browser.newPage();
    const complaints = watch(page, app.url);
    await page.goto(app.url);
    assert.equal(await page.locator("#bell").isVisible(), false, "without a session the list is hidden");
    await signIn(page, ann);
    await counts(page, 0);
    await like(app, bob, post.id);
    await counts(page, 1);
    await page.getByRole("button", { name: "Notifications 1 unread" }).click();
    await says(page, ["● Bob Lovelace liked your post “Hello <b>there</b>”"]);
    await app.follow(eve, ann.page_id);
    await counts(page, 2);
    await like(app, eve, post.id);
    await says(page, [
      "● Eve Lovelace and Bob Lovelace liked your post “Hello <b>there</b>”",
      "● Eve Lovelace follows you",
    ]);
    await counts(page, 2);

    await page.getByRole("button", { name: "Mark all as read" }).click();
    await counts(page, 0);
    const read = ["Eve Lovelace and Bob Lovelace liked your post “Hello <b>there</b>”", "Eve Lovelace follows you"];
    await says(page, read);
    await app.follow(bob, ann.page_id);
    await counts(page, 1);
    await says(page, ["● Bob Lovelace follows you", ...read]);
    await page.reload();
    await counts(page, 1);
    await page.locator("#bell").click();
    await says(page, ["● Bob Lovelace follows you", ...read]);
    await page.keyboard.press("Escape");
    assert.equal(await page.locator("#bell-panel").isVisible(), false);
    assert.equal(await page.locator("#bell").evaluate((bell) => bell.matches(":focus")), true);

    await page.getByRole("button", { name: "Sign out" }).click();
    await page.locator("#bell").waitFor({ state: "hidden" });
    assert.equal(await page.locator("#bell-list li").count(), 0, "her entries are removed");
    await signIn(page, bob);
    await page.locator("#bell").click();
    await page.locator("#bell-empty").waitFor();
    await says(page, []);
    await counts(page, 0);
    await page.locator("h1").last().click();
    assert.equal(await page.locator("#bell-panel").isVisible(), false, "a click outside closes it");
    assert.deepEqual(complaints, []);
  },
);

browserTest('Notifications that arrive during "mark all as read" stay unread and are counted', async (browser) => {
  const [ann, bob, eve, fay] = await people(app, "Ann", "Bob", "Eve", "Fay") as [Person, Person, Person, Person];
  for (const follower of [bob, eve]) await app.follow(follower, ann.page_id);
  const page = await browser.newPage();
  const complaints = watch(page, app.url);
  const rings = heard(page, "Fay");
  await openAs(page, app, ann);
  await counts(page, 2);
  await page.locator("#bell").click();
  const newest = await page.locator("#bell-list li").first().getAttribute("data-cursor");
  const asked: unknown[] = [];
  await intercept(page, "**/notifications/read", async (route) => {
    asked.push(route.request().postDataJSON());
    await app.follow(fay, ann.page_id);
    await rings;
    await route.continue();
  });
  await page.getByRole("button", { name: "Mark all as read" }).click();
  await counts(page, 1);
  await says(page, ["● Fay Lovelace follows you", "Eve Lovelace follows you", "Bob Lovelace follows you"]);
  assert.deepEqual(asked, [{ up_to: newest }]);
  assert.deepEqual(complaints, []);
});

browserTest("Notifications that arrive while the list loads are not missed", async (browser) => {
  const [ann, bob, eve] = await people(app, "Ann", "Bob", "Eve") as [Person, Person, Person];
  const page = await browser.newPage();
  await page.goto(app.url);
  // The answer was read before the next notification.
  const arrivals = [
    async () => {
      await app.follow(bob, ann.page_id);
      await until(
        "Bob's notification",
        async () => (await app.ctx.sql.query("select from notifications where user_id = $1", [ann.id]))[0],
      );
    },
    async () => {
      await app.follow(eve, ann.page_id);
      await rings;
    },
  ];
  const rings = heard(page, "Eve");
  await intercept(page, "**/notifications?limit=10", async (route) => {
    const response = await route.fetch();
    await arrivals.shift()?.();
    await route.fulfill({ response });
  });
  await signIn(page, ann);
  await counts(page, 1);
  await page.locator("#bell").click();
  await says(page, ["● Eve Lovelace follows you", "● Bob Lovelace follows you"]);
  await counts(page, 2);
});

browserTest("Signing out while the notification list loads leaves no entries", async (browser) => {
  const [ann, bob, eve] = await people(app, "Ann", "Bob", "Eve") as [Person, Person, Person];
  await app.follow(bob, ann.page_id);
  const page = await browser.newPage();
  const complaints = watch(page, app.url);
  const rings = heard(page, "Eve");
  await openAs(page, app, ann);
  await counts(page, 1);
  const late = page.waitForEvent("requestfailed", (request) => request.url().endsWith("/notifications?limit=10"));
  await intercept(page, "**/notifications?limit=10", async (route) => {
    const response = await route.fetch();
    await app.follow(eve, ann.page_id);
    await rings;
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.locator("#door").waitFor();
    // Its answer is no longer used.
    await route.fulfill({ response }).catch(() => {});
  });
  await page.locator("#bell").click();
  await late;
  await page.locator("#sign-in [name=login]").fill("another login");
  assert.equal(await page.locator("#bell-list li").count(), 0);
  assert.deepEqual(await page.locator("#bell-notice, #notice, #alert").allTextContents(), ["", "", ""]);
  assert.deepEqual(complaints, []);
});

browserTest(
  "A session that ends elsewhere closes the notification list, and the next person finds it closed",
  async (browser) => {
    const [ann, bob] = await people(app, "Ann", "Bob") as [Person, Person];
    const page = await browser.newPage();
    await openAs(page, app, ann);
    await page.locator("#bell").click();
    await page.getByText("Settings", { exact: true }).click();
    await page.locator("#bell-settings fieldset:enabled").waitFor();
    await app.signIn(ann.login);
    await page.locator("#alert", { hasText: "You signed in elsewhere" }).waitFor();
    await page.locator("#bell-panel").waitFor({ state: "hidden" });
    await signIn(page, bob);
    await page.locator("#bell").click();
    await page.locator("#bell-empty").waitFor();
    assert.equal(await page.locator("#bell-settings fieldset").isVisible(), false);
  },
);

browserTest(
  "A notification list that fails to load shows an error, does not block the feed, and still updates live",
  async (browser) => {
    const [ann, bob] = await people(app, "Ann", "Bob") as [Person, Person];
    const page = await browser.newPage();
    const json = { type: "/problems/overloaded", title: "The server is busy" };
    await page.route("**/notifications?limit=10", (route) => route.fulfill({ status: 503, json }));
    await openAs(page, app, ann);
    await page.locator("#alert", { hasText: "The server is busy" }).waitFor();
    await app.follow(bob, ann.page_id);
    await counts(page, 1);
  },
);

browserTest(
  "After a reset the notification list is read again, and the count is limited as in the API",
  async (browser) => {
    const [ann, bob] = await people(app, "Ann", "Bob") as [Person, Person];
    const page = await browser.newPage();
    const answered = Promise.withResolvers<void>();
    await page.routeWebSocket("**/feed/live?*", (socket) => {
      socket.connectToServer().onMessage((message) => {
        if (!String(message).includes('"notification"')) return socket.send(message);
        // As if its history were deleted.
        socket.send(JSON.stringify({ type: "reset", reason: "too-old" }));
        answered.resolve();
      });
    });
    await openAs(page, app, ann);
    await app.follow(bob, ann.page_id);
    await answered.promise;
    await counts(page, 1);
    const opened = page.waitForResponse("**/notifications?limit=10");
    await page.locator("#bell").click();
    await (await opened).finished();
    await says(page, ["● Bob Lovelace follows you"]);
    await page.keyboard.press("Escape");
    // More than the list can show, all newer than the list.
    const json = { items: [], next_cursor: null, unread: 1_000 };
    await intercept(page, "**/notifications?limit=10", (route) => route.fulfill({ json }));
    await page.locator("#bell").click();
    await page.locator("#bell-count", { hasText: /^999\+$/ }).waitFor();
    assert.equal(await page.locator("#bell-read").isVisible(), false, "the list has no entry to mark as read");
  },
);

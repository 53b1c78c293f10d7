/** The place of error messages, and the keyboard focus after each action. */
import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";
import type { Page, WebSocketRoute } from "../packages/playwright.ts";
import { sharedApp } from "../support/app.ts";
import { newLogin, PASSWORD, type Person } from "../support/person.ts";
import { counts, like, people } from "../support/notification_page.ts";
import { browserTest, intercept } from "../support/browser.ts";
import { failedPost } from "../support/failed_post.ts";
import { jpegOf } from "../support/pictures.ts";
import { until } from "../support/wait.ts";
import { enter, focused, inView, openAs, press, settled } from "../support/web_page.ts";

const app = sharedApp();

browserTest(
  "A like shows at once; if it fails it is reverted and the error is shown near it",
  async (browser) => {
    const [ann, bob] = await people(app, "Ann", "Bob") as [Person, Person];
    const posts = [];
    for (let i = 0; i < 20; i++) posts.push(await app.post(ann, { text: `Post ${i}` }));
    const page = await browser.newPage({ viewport: { width: 390, height: 700 } });
    await openAs(page, app, ann);
    const post = posts[4]!;
    const heart = page.locator(`[data-post="${post.id}"] .like`);
    await heart.scrollIntoViewIfNeeded();
    const state = async () => [await heart.getAttribute("aria-pressed"), await heart.locator(".count").innerText()];
    assert.deepEqual(await state(), ["false", "0"]);
    const gate = Promise.withResolvers<void>();
    await intercept(page, "**/like", async (route) => {
      await gate.promise;
      await route.abort();
    });
    await press(heart, "Space");
    assert.deepEqual(await state(), ["true", "1"], "before any answer");
    gate.resolve();
    await page.locator("#alert", { hasText: "cannot be reached" }).waitFor();
    assert.equal(await page.getByRole("alert").filter({ hasText: "cannot be reached" }).count(), 1);
    assert.ok(await inView(page.locator("#alert")));
    assert.deepEqual(await state(), ["false", "0"]);
    assert.match(await focused(page), /^button ♥/);
    await page.getByRole("button", { name: "Dismiss" }).click();
    assert.equal(await page.locator("#alert").isVisible(), false);

    await page.unrouteAll();
    const answered = page.waitForResponse("**/like");
    await press(heart, "Space");
    await (await answered).finished();
    await heart.and(page.locator("[aria-pressed=true]:not([aria-busy])")).waitFor();
    assert.deepEqual(await state(), ["true", "1"]);
    assert.equal(await page.locator("#alert").innerText(), "");
    const liked = await app.ctx.sql.query("select from likes where post_id = $1 and user_id = $2", [post.id, ann.id]);
    assert.equal(liked.length, 1);
    // Of several clicks during the first request the last one counts.
    const slow = Promise.withResolvers<void>();
    await intercept(page, "**/like", async (route) => {
      await slow.promise;
      await route.continue();
    });
    for (let i = 0; i < 4; i++) await heart.press("Space");
    assert.deepEqual(await state(), ["true", "1"]);
    await heart.press("Space");
    assert.deepEqual(await state(), ["false", "0"]);
    await like(app, bob, post.id);
    slow.resolve();
    await heart.locator(".count", { hasText: "1" }).waitFor();
    await heart.and(page.locator(":not([aria-busy])")).waitFor();
    // A late frame may still count both.
    await until("only Bob's like", async () => isDeepStrictEqual(await state(), ["false", "1"]));
    assert.match(await focused(page), /^button ♥/);
  },
);

browserTest(
  "A like in the post view is also shown in the feed, and its errors appear in the post view",
  async (browser) => {
    const [ann] = await people(app, "Ann") as [Person];
    const post = await app.post(ann, { text: "The post" });
    for (let i = 0; i < 12; i++) await app.post(ann, { text: `Answer ${i}\n\nand\n\nmore`, reply_to: post.id });
    const page = await browser.newPage({ viewport: { width: 390, height: 700 } });
    await openAs(page, app, ann);
    await page.locator("#posts li", { hasText: "The post" }).getByRole("button", { name: "replies" }).click();
    const view = page.getByRole("dialog");
    await view.locator("#post-itself .like").click();
    await page.locator(`#posts [data-post="${post.id}"] .like[aria-pressed=true]`).waitFor();
    await intercept(page, "**/like", (route) => route.abort());
    const last = view.locator("#answers li").last();
    await last.scrollIntoViewIfNeeded();
    await press(last.locator(".like"), "Space");
    await page.locator("#post-notice", { hasText: "cannot be reached" }).waitFor();
    assert.ok(await inView(page.locator("#post-notice")));
    assert.equal(await last.locator(".like").getAttribute("aria-pressed"), "false");
    assert.match(await focused(page), /^button ♥/);
  },
);

browserTest(
  "Keyboard focus stays in place on the site: signing in, posting, following, searching, older posts, notifications",
  async (browser) => {
    const [ann, bob, eve] = await people(app, "Ann", "Bob", "Eve") as [Person, Person, Person];
    await app.ok("PATCH", `/pages/${ann.page_id}`, { token: ann.token, body: { is_private: true } });
    for (let i = 0; i < 22; i++) await app.post(ann, { text: `Post ${i}` });
    const page = await browser.newPage();
    await page.goto(app.url);
    await page.locator("#sign-in [name=login]").fill(ann.login);
    await page.locator("#sign-in [name=password]").fill("Not-The-1-Word");
    await page.keyboard.press("Enter");
    await page.locator("#alert", { hasText: /./ }).waitFor();
    assert.equal(await page.locator("#sign-in [name=login]").inputValue(), ann.login);
    assert.equal(await focused(page), "input");
    await page.locator("#sign-in [name=password]").fill(PASSWORD);
    await page.keyboard.press("Enter");
    await page.locator("#live[data-state=on]").waitFor();
    await settled(page);
    assert.equal(await focused(page), "h1 feed-title");
    for (const asking of [bob, eve]) await app.follow(asking, ann.page_id);
    await counts(page, 2);

    await page.locator("#write textarea").fill("From the keyboard");
    await press(page.getByRole("button", { name: "Post", exact: true }));
    await page.locator("#posts li", { hasText: "From the keyboard" }).waitFor();
    await settled(page);
    assert.equal(await focused(page), "button Post");
    let reads = 0;
    page.on("requestfinished", (request) => {
      if (request.url().endsWith("/feed?limit=20")) reads++;
    });
    await page.locator("#follow [name=handle]").fill(bob.login);
    await press(page.locator("#follow").getByRole("button"));
    await page.locator("#notice", { hasText: bob.login }).waitFor();
    await settled(page);
    assert.equal(await focused(page), "button Follow");
    await page.locator("#search [name=q]").fill(bob.login);
    await press(page.locator("#search [name=q]"));
    await page.locator("#found li").waitFor();
    await settled(page);
    assert.equal(await focused(page), "input");
    await press(page.locator("#found").getByRole("button", { name: "Follow" }));
    await settled(page);
    assert.equal(await focused(page), "button Follow");

    // Each of the two clicks and the frame about the follow. A later one would begin the feed again.
    await until("three reads of the feed", () => reads >= 3);
    // The last page removes the button, so the focus moves to the post before.
    await press(page.getByRole("button", { name: "Older posts" }));
    await page.locator("#posts li", { hasText: "Post 0" }).waitFor();
    await page.locator("#more").waitFor({ state: "hidden" });
    assert.match(await focused(page), /^button ↩/);

    await focusInNotifications(page);

    await press(page.getByRole("button", { name: "Sign out" }));
    await page.locator("#sign-in").waitFor();
    assert.equal(await focused(page), "h1 door-title");
  },
);

browserTest(
  "After the deletion of a failed post the focus moves to the next one, and after the last to the heading",
  async (browser) => {
    const [ann] = await people(app, "Ann") as [Person];
    await app.post(ann, { text: "In the feed" });
    const whole = await jpegOf(900, 700);
    const half = whole.subarray(0, whole.length / 2);
    for (const text of ["One", "Two", "Three"]) await failedPost(app, ann, text, half);
    const page = await browser.newPage();
    await openAs(page, app, ann);
    const failed = page.locator("#unready-posts > li", { hasText: "cannot be read" });
    await failed.nth(2).waitFor();
    await settled(page);
    await press(failed.nth(1).getByRole("button", { name: "Delete" }));
    await failed.nth(2).waitFor({ state: "detached" });
    await settled(page);
    assert.equal(await focused(page), "button Try again", "the button of the third post");
    await press(failed.nth(1).getByRole("button", { name: "Delete" }));
    await failed.nth(1).waitFor({ state: "detached" });
    await settled(page);
    assert.equal(await focused(page), "button Delete", "the button of the first post");
    await page.keyboard.press("Enter");
    await page.locator("#unready").waitFor({ state: "hidden" });
    await settled(page);
    assert.equal(await focused(page), "h1 feed-title");
  },
);

browserTest("A list that is updated keeps the keyboard focus", async (browser) => {
  const [ann, bob, eve] = await people(app, "Ann", "Bob", "Eve") as [Person, Person, Person];
  await app.ok("PATCH", `/pages/${ann.page_id}`, { token: ann.token, body: { is_private: true } });
  const posts = [];
  for (const text of ["One", "Two", "Three"]) posts.push(await app.post(ann, { text }));
  await app.follow(bob, ann.page_id);
  const page = await browser.newPage();
  let socket: WebSocketRoute | undefined;
  await page.routeWebSocket("**/feed/live?*", (opened) => {
    socket = opened;
    opened.connectToServer();
  });
  await openAs(page, app, ann);
  await counts(page, 1);
  await page.locator("#bell").click();
  const bobs = page.locator("#bell-list li", { hasText: "Bob" });
  await bobs.getByRole("button", { name: "Reject" }).focus();
  await app.follow(eve, ann.page_id);
  await page.locator("#bell-list li", { hasText: "Eve" }).waitFor();
  assert.equal(await focused(page), "button Reject");
  const again = ["notifications?limit=10", "feed?limit=20"].map((path) => page.waitForResponse(`**/${path}`));
  socket!.send(JSON.stringify({ type: "reset", reason: "too-old" }));
  for (const one of again) await (await one).finished();
  assert.equal(await focused(page), "button Reject");
  assert.equal(await bobs.getByRole("button", { name: "Reject" }).evaluate((one) => one.matches(":focus")), true);
  await page.keyboard.press("Escape");

  await page.locator("#posts li", { hasText: "Two" }).locator(".like").focus();
  const read = page.waitForResponse("**/feed?limit=20");
  socket!.send(JSON.stringify({ type: "reset", reason: "too-old" }));
  await (await read).finished();
  await page.locator("#posts .text", { hasText: "Two" }).waitFor();
  assert.equal(
    await page.locator("#posts li", { hasText: "Two" }).locator(".like").evaluate((one) => one.matches(":focus")),
    true,
  );
  assert.deepEqual(await page.locator("#posts .text").allInnerTexts(), ["Three", "Two", "One"]);
  // The focus must not disappear with the deleted element.
  const token: string = await page.evaluate(() => JSON.parse(sessionStorage.getItem("tokens")!).access_token);
  await app.ok("DELETE", `/posts/${posts[1]!.id}`, { token });
  await page.locator("#posts li", { hasText: "Two" }).waitFor({ state: "detached" });
  assert.match(await focused(page), /^button ♥/);
});

browserTest("Several settings changed in quick succession are all saved", async (browser) => {
  const [ann] = await people(app, "Ann") as [Person];
  const page = await browser.newPage();
  await openAs(page, app, ann);
  await page.locator("#bell").click();
  await page.getByText("Settings", { exact: true }).click();
  await page.locator("#bell-fields:enabled").waitFor();
  const sent: unknown[] = [];
  await intercept(page, "**/notifications/settings", async (route) => {
    sent.push(route.request().postDataJSON());
    await page.waitForTimeout(50);
    await route.continue();
  });
  for (const name of ["Likes", "Replies", "Tags"]) await page.getByRole("checkbox", { name }).click();
  await until("three changes", () => Promise.resolve(sent.length === 3));
  const token: string = await page.evaluate(() => JSON.parse(sessionStorage.getItem("tokens")!).access_token);
  const kept = await until("the last change", async () => {
    const { bell } = await app.ok("GET", "/notifications/settings", { token });
    return bell.tag === false ? bell : undefined;
  });
  assert.deepEqual([kept.like, kept.reply, kept.tag, kept.follower], [false, false, false, true]);
  for (const name of ["Likes", "Replies", "Tags"]) {
    assert.equal(await page.getByRole("checkbox", { name }).isChecked(), false);
  }
});

browserTest("Keyboard focus stays in place in the administration, and errors are visible", async (browser) => {
  const [ann] = await people(app, "Ann") as [Person];
  const admin = await app.person({ role: "admin" });
  const crowd = newLogin("crowd");
  const names = ["a", "b", "c"].map((letter) => `${crowd}${letter}`);
  for (const login of names) await app.person({ login });
  for (const text of ["One", "Two"]) await app.post(ann, { text });
  for (let i = 0; i < 2; i++) {
    const body = { target: { kind: "account", id: ann.id }, reason: `Reason ${i}` };
    const { token } = await app.person();
    await app.ok("POST", "/reports", { token, body });
  }
  const page = await browser.newPage({ viewport: { width: 1280, height: 500 } });
  await page.goto(`${app.url}/admin`);
  await focusOnReports(page, admin, ann.login);
  await focusOnAccounts(page, crowd);
  await focusOnPages(page, ann.login);
});

/** The focus in the list of notifications and in its settings. */
async function focusInNotifications(page: Page): Promise<void> {
  await press(page.locator("#bell"));
  await page.locator("#bell-list li").nth(1).waitFor();
  await settled(page);
  assert.equal(await focused(page), "button bell");
  await press(page.locator("#bell-list li").first().getByRole("button", { name: "Accept" }));
  await page.locator("#bell-list li").first().getByRole("button", { name: "Accept" }).waitFor({ state: "hidden" });
  await settled(page);
  assert.equal(await focused(page), "button Accept", "the button of the next entry");
  await intercept(page, "**/requests/*", (route) => route.abort());
  await page.keyboard.press("Enter");
  await page.locator("#bell-notice.bad", { hasText: "cannot be reached" }).waitFor();
  assert.equal(await focused(page), "button Accept");
  await page.unrouteAll();
  await press(page.getByRole("button", { name: "Mark all as read" }));
  await counts(page, 0);
  await settled(page);
  assert.equal(await focused(page), "summary Settings");
  await page.keyboard.press("Enter");
  await page.locator("#bell-fields:enabled").waitFor();
  await press(page.getByLabel("Likes"), "Space");
  await page.locator("#bell-notice", { hasText: "Saved." }).waitFor();
  assert.equal(await focused(page), "input");
  await page.keyboard.press("Escape");
  assert.equal(await focused(page), "button bell");
}

/** The focus after the sign-in, while the reports load, and after an act on one of them. */
async function focusOnReports(page: Page, admin: Person, login: string): Promise<void> {
  const gate = Promise.withResolvers<void>();
  await intercept(page, "**/reports?*", async (route) => {
    await gate.promise;
    await route.continue();
  });
  await enter(page, admin, "Enter");
  await page.locator("#panel").waitFor();
  assert.equal(await focused(page), "h1 reports-title", "while its list loads");
  gate.resolve();
  await page.locator("#reports-list li").first().waitFor();
  await settled(page);
  assert.equal(await focused(page), "h1 reports-title");
  const report = page.locator("#reports-list > li", { hasText: "Reason 0" });
  await press(report.getByRole("button", { name: "Take" }));
  await report.getByText("Taken by").waitFor();
  assert.equal(await focused(page), "button Release");
  await press(report.getByRole("button", { name: "View" }));
  await page.locator("#accounts-list li", { hasText: login }).waitFor();
  await settled(page);
  assert.equal(await focused(page), "h1 accounts-title");
}

/** The focus in the list of accounts, after a block and after a deletion. */
async function focusOnAccounts(page: Page, crowd: string): Promise<void> {
  await page.locator("#accounts-filter [name=q]").fill(crowd);
  await press(page.locator("#accounts-filter [name=q]"));
  await page.locator("#accounts-list > li").nth(2).waitFor();
  await page.locator("#accounts-list > li").nth(3).waitFor({ state: "detached" });
  await settled(page);
  assert.equal(await focused(page), "input");
  const row = (nth: number) => page.locator("#accounts-list > li").nth(nth);
  const dialog = page.getByRole("dialog");
  const second = await row(1).locator("strong").innerText();
  const third = await row(2).locator("strong").innerText();
  await press(row(1).getByRole("button", { name: "Block" }));
  await page.keyboard.press("Escape");
  await settled(page);
  assert.equal(await focused(page), "button Block", "cancelled");
  await page.keyboard.press("Enter");
  await dialog.locator("[name=reason]").fill("Spam");
  await page.keyboard.press("Enter");
  await row(1).getByRole("button", { name: "Unblock" }).waitFor();
  assert.equal(await focused(page), "button Unblock");

  // After the deletion of a row the focus is on the next row.
  await press(row(1).getByRole("button", { name: "Delete" }));
  await dialog.locator("[name=word]").fill(second);
  await intercept(page, `**/users/*`, (route) => route.abort());
  await page.keyboard.press("Enter");
  await page.locator("#act-notice", { hasText: "cannot be reached" }).waitFor();
  assert.ok(await inView(page.locator("#act-notice")));
  assert.equal(await focused(page), "input");
  await page.unrouteAll();
  await page.keyboard.press("Enter");
  await page.locator("#accounts-list strong", { hasText: second }).waitFor({ state: "detached" });
  await settled(page);
  assert.equal(await focused(page), `select Role of \u2068${third}\u2069`);
}

/** The focus in the lists of pages and of their posts. */
async function focusOnPages(page: Page, login: string): Promise<void> {
  const dialog = page.getByRole("dialog");
  await page.locator("#rooms").getByRole("link", { name: "Pages" }).press("Enter");
  await page.locator("#pages-filter [name=q]").fill(login);
  await press(page.locator("#pages-filter [name=q]"));
  await press(page.locator("#pages-list li").first().getByRole("button", { name: "Posts" }));
  await page.locator("#posts-list > li").nth(1).waitFor();
  await settled(page);
  assert.equal(await focused(page), "button Posts");
  await press(page.locator("#posts-list > li").last().getByRole("button", { name: "Delete" }));
  await press(dialog.getByRole("button", { name: "Delete" }));
  await page.locator("#posts-list > li").nth(1).waitFor({ state: "detached" });
  await settled(page);
  assert.equal(await focused(page), "button Delete", "the button of the previous post");
  // Also in a list that is longer than the window.
  await intercept(page, "**/posts?*", (route) => route.abort());
  const posts = page.locator("#pages-list li").first().getByRole("button", { name: "Posts" });
  await press(posts);
  await page.locator("#alert", { hasText: "cannot be reached" }).waitFor();
  assert.ok(await inView(page.locator("#alert")));
  assert.equal(await focused(page), "button Posts");
}

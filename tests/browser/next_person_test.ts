/** The state of one person on a page is cleared for the next. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import type { Page } from "../packages/playwright.ts";
import { sharedApp } from "../support/app.ts";
import { ADMIN, type Person } from "../support/person.ts";
import { counts, like, people } from "../support/notification_page.ts";
import { browserTest, intercept, launchChromium, watch } from "../support/browser.ts";
import { pngOf } from "../support/pictures.ts";
import { enter, openAs, signIn } from "../support/web_page.ts";

const app = sharedApp();
const SECRET = "Only Ann knows";

/** The content of the page, hidden parts included, without messages. */
function everything(page: Page): Promise<{ html: string; fields: string[]; html_of_said: string }> {
  return page.evaluate(() => {
    // deno-lint-ignore no-explicit-any -- this runs in the browser
    const { document } = globalThis as any;
    const body = document.body.cloneNode(true);
    const said = body.querySelector("#said");
    const html_of_said = said.outerHTML;
    said.remove();
    // The heading that has the focus.
    body.querySelector("#door-title").removeAttribute("tabindex");
    return {
      html: body.innerHTML,
      html_of_said,
      fields: [...document.querySelectorAll("input, select, textarea")].map((field) =>
        `${field.name || field.id}: ${
          field.type === "checkbox" ? field.checked : field.files ? field.files.length : field.value
        }`
      ),
    };
  });
}

/** Fills every field, selects in every list, and chooses a file in every file input. */
async function fillAll(page: Page): Promise<void> {
  const file = { name: `${SECRET}.png`, mimeType: "image/png", buffer: Buffer.from(await pngOf(30, 30)) };
  for (const field of await page.locator("input, select, textarea").all()) {
    const type = await field.evaluate((one) => one.getAttribute("type") ?? one.tagName.toLowerCase());
    if (type === "file") {
      // The picture is uploaded at once and changes the account.
      if (await field.getAttribute("id") !== "picture") await field.setInputFiles([file]);
      continue;
    }
    // deno-lint-ignore no-explicit-any -- an element of the page
    await field.evaluate((one: any, secret) => {
      if (one.type === "checkbox") one.checked = !one.checked;
      else if (one.options) one.selectedIndex = one.options.length - 1;
      else if (one.type === "datetime-local") one.value = "2026-11-28T01:00";
      else one.value = secret;
    }, SECRET);
  }
}

browserTest("The next person who signs in finds the page in its initial state", async (browser) => {
  const [ann, bob, eve] = await people(app, "Ann", "Bob", "Eve") as [Person, Person, Person];
  const post = await app.post(ann, { text: SECRET });
  await app.post(eve, { text: "An answer", reply_to: post.id });
  await like(app, eve, post.id);
  const page = await browser.newPage();
  const complaints = watch(page, app.url);
  await page.goto(app.url);
  await page.locator("#door").waitFor();
  const before = await everything(page);
  await signIn(page, ann);
  await page.locator("#search [name=q]").fill(eve.login);
  await page.locator("#search").getByRole("button").click();
  await page.locator("#found li").first().waitFor();
  await page.locator("#bell").click();
  await page.getByText("Settings", { exact: true }).click();
  await page.locator("#bell-fields:enabled").waitFor();
  await page.locator("#posts li", { hasText: SECRET }).getByRole("button", { name: "replies" }).click();
  await page.locator("#answers li").waitFor();
  await fillAll(page);
  // The session ends while these are open.
  await app.signIn(ann.login);
  await page.locator("#alert", { hasText: "You signed in elsewhere" }).waitFor();
  const after = await everything(page);
  assert.equal(after.html, before.html);
  assert.deepEqual(after.fields, before.fields);
  assert.doesNotMatch(after.html_of_said, new RegExp(SECRET));

  await signIn(page, bob);
  assert.doesNotMatch(JSON.stringify(await everything(page)), new RegExp(SECRET));
  await page.getByRole("button", { name: "Post", exact: true }).click();
  await page.locator("#alert", { hasText: "text" }).waitFor();
  const posts = await app.ctx.sql.query("select id from posts where page_id = $1", [bob.page_id]);
  assert.deepEqual(posts, []);
  await fillAll(page);
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.locator("#sign-in").waitFor();
  const last = await everything(page);
  assert.equal(last.html, before.html);
  assert.deepEqual(last.fields, before.fields);
  // The browser itself logs refused requests.
  assert.deepEqual(complaints.filter((complaint) => !complaint.startsWith("Failed to load resource")), []);
});

browserTest("The administration is reset for the next person, too", async (browser) => {
  const [ann] = await people(app, "Ann") as [Person];
  await app.post(ann, { text: SECRET });
  const page = await browser.newPage();
  await page.goto(`${app.url}/admin`);
  await page.locator("#door").waitFor();
  const enterPanel = async () => {
    await enter(page, ADMIN);
    await page.locator("#panel").waitFor();
  };
  const before = await everything(page);
  await enterPanel();
  await page.getByRole("link", { name: "Pages" }).click();
  await page.locator("#pages-filter [name=q]").fill(ann.login);
  await page.locator("#pages-filter").getByRole("button").click();
  await page.locator("#pages-list").getByRole("button", { name: "Posts" }).click();
  await page.locator("#posts-list", { hasText: SECRET }).waitFor();
  await page.locator("#pages-list").getByRole("button", { name: "Block" }).click();
  await page.getByText("This also hides").waitFor();
  await fillAll(page);
  await app.signIn(ADMIN.login, ADMIN.password);
  await page.locator("#act [name=reason]").fill(SECRET);
  await page.locator("#act").getByRole("button", { name: "Block" }).click();
  await page.locator("#alert", { hasText: "You signed in elsewhere" }).waitFor();
  const after = await everything(page);
  assert.equal(after.html, before.html);
  assert.deepEqual(after.fields, before.fields);
});

browserTest("A late answer for one person changes nothing for the next", async (browser) => {
  const [ann, bob] = await people(app, "Ann", "Bob") as [Person, Person];
  await app.post(ann, { text: SECRET });
  const page = await browser.newPage();
  await openAs(page, app, ann);
  const gate = Promise.withResolvers<void>();
  const asked: string[] = [];
  // The test holds several answers: a list, a search, a new post, a refresh of the tokens.
  await intercept(
    page,
    /\/api\/v1\/(search|feed\?|pages\/[^/]+\/posts$|security\/refresh|notifications\?)/,
    async (route) => {
      asked.push(route.request().url());
      const response = await route.fetch();
      await gate.promise;
      await route.fulfill({ response }).catch(() => {});
    },
  );
  await page.locator("#search [name=q]").fill(ann.login);
  await page.locator("#search").getByRole("button").click();
  await page.locator("#write textarea").fill(`${SECRET} as well`);
  await page.getByRole("button", { name: "Post", exact: true }).click();
  await page.locator("#bell").click();
  await page.locator("#write [aria-busy=true]").waitFor();
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.locator("#sign-in").waitFor();
  assert.ok(asked.length >= 3, asked.join("\n"));
  await page.unrouteAll({ behavior: "ignoreErrors" });
  await signIn(page, bob);
  gate.resolve();
  await counts(page, 0);
  const token: string = await page.evaluate(() => JSON.parse(sessionStorage.getItem("tokens")!).access_token);
  await app.post({ ...bob, token }, { text: "After all that" });
  await page.locator("#posts li", { hasText: "After all that" }).waitFor();
  assert.doesNotMatch(JSON.stringify(await everything(page)), new RegExp(SECRET));
  assert.deepEqual(await page.locator("#posts .text").allInnerTexts(), ["After all that"]);
  assert.equal(await page.locator("#who-name").innerText(), bob.login);
});

browserTest("The browser's back button does not show a person's page to another person", async () => {
  const admin = await app.person();
  await app.ok("PUT", `/users/${admin.id}/role`, { token: (await app.admin()).token, body: { role: "admin" } });
  await app.post(admin, { text: SECRET });
  await using browser = await launchChromium({ keepPages: true });
  const page = await browser.newPage();
  await openAs(page, app, admin);
  await page.evaluate(`addEventListener("pageshow", ({ persisted }) => document.body.dataset.persisted = persisted)`);
  await page.locator("#write textarea").fill(`${SECRET} as well`);
  await page.getByRole("link", { name: "Administration" }).click();
  await page.locator("#panel").waitFor();
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.locator("#sign-in").waitFor();
  await page.evaluate("history.back()");
  await page.locator("#register").waitFor();
  assert.equal(await page.evaluate("document.body.dataset.persisted"), "true", "the browser kept the page");
  assert.doesNotMatch(JSON.stringify(await everything(page)), new RegExp(SECRET));
});

browserTest("A browser does not fill a reloaded page with earlier input", async (browser) => {
  const [ann] = await people(app, "Ann") as [Person];
  const page = await browser.newPage();
  await openAs(page, app, ann);
  await page.locator("#write textarea").fill(SECRET);
  await page.locator("#search [name=q]").fill(SECRET);
  await page.locator("#follow [name=handle]").fill(SECRET);
  await page.goto(`${app.url}/problems`);
  await page.evaluate(() => sessionStorage.clear());
  await page.goBack();
  await page.locator("#sign-in").waitFor();
  assert.doesNotMatch(JSON.stringify(await everything(page)), new RegExp(SECRET));
});

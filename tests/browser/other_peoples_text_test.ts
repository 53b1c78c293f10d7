/** Text of other people cannot reverse, widen or lengthen the page around it. */
import assert from "node:assert/strict";
import type { Locator, Page } from "../packages/playwright.ts";
import { sharedApp } from "../support/app.ts";
import { newLogin, type Person } from "../support/person.ts";
import { counts, people } from "../support/notification_page.ts";
import { browserTest } from "../support/browser.ts";
import { enter, openAs } from "../support/web_page.ts";

const app = sharedApp();
/** Right-to-left override: the text after it is drawn from right to left. */
const RLO = "\u202e";
/** One word for the line breaker, hundreds of characters wide. */
const WIDE = `Z${"\u0489".repeat(450)}`;

/** A person followed by `reader`, with a post on their page, who caused the reader's notifications. */
interface Scene {
  reader: Person;
  admin: Person;
  author: Person;
  handle: string;
}

/**
 * All text of other people has `word`. The API may reject such names, but older rows may have them.
 */
async function scene(word: string): Promise<Scene> {
  const [reader, author] = await people(app, "Ann", "Eve") as [Person, Person];
  const admin = await app.person({ role: "admin" });
  const handle = newLogin("bank");
  const page = await app.page(author, { name: "Savings", uuid: handle });
  await app.follow(reader, page.id);
  await app.follow(author, reader.page_id);
  const own = await app.post(reader, { text: `My own ${word} words` });
  await app.ok("PUT", `/posts/${own.id}/like`, { token: author.token });
  const post = await app.post(author, { text: `Give ${word} here` }, page.id);
  await app.post(author, { text: `Or ${word} there`, reply_to: post.id }, page.id);
  const report = { target: { kind: "post", id: post.id }, reason: "It is false" };
  await app.ok("POST", "/reports", { token: reader.token, body: report });
  const blocked = await app.person();
  await app.ok("POST", `/users/${blocked.id}/block`, { token: admin.token, body: { reason: "Long", until: null } });
  await app.ctx.sql.execute("update reports set reason = $1", [`It is ${word} false`]);
  await app.ctx.sql.execute("update users set blocked_reason = $2 where id = $1", [blocked.id, `For ${word} long`]);
  await app.ctx.sql.execute("update pages set name = $2 where id = any($1::uuid[])", [
    [page.id, reader.page_id],
    `Savings ${word}`,
  ]);
  await app.ctx.sql.execute("update users set first_name = $2, last_name = $3 where id = any($1::uuid[])", [
    [author.id, blocked.id],
    `Eve ${word}`,
    "Lovelace",
  ]);
  return { reader, author, admin, handle };
}

/** Visits every place of the site with such text, and calls `look` with each. */
async function tour(page: Page, { reader, handle }: Scene, look: (place: Locator, name: string) => Promise<void>) {
  await openAs(page, app, reader);
  await counts(page, 2);
  await page.locator("#posts li", { hasText: "Give" }).waitFor();
  for (const item of await page.locator("#posts article").all()) await look(item, "a post in the feed");
  await page.locator("#search [name=q]").fill(handle);
  await page.locator("#search").getByRole("button").click();
  await page.locator("#found li").first().waitFor();
  for (const item of await page.locator("#found li").all()) await look(item, "a search result");
  await page.locator("#bell").click();
  await page.locator("#bell-list li", { hasText: "liked" }).waitFor();
  for (const item of await page.locator("#bell-list li").all()) await look(item, "the notification list");
  await page.keyboard.press("Escape");
  await page.locator("#posts li", { hasText: "Give" }).getByRole("button", { name: "replies" }).click();
  await page.locator("#answers li").waitFor();
  for (const item of await page.locator("#post-view article").all()) await look(item, "the post view");
  await page.getByRole("button", { name: "Close" }).click();
  await page.getByRole("button", { name: "Sign out" }).click();
}

/** The same in the administration. */
async function adminTour(
  page: Page,
  { reader, admin, author, handle }: Scene,
  look: (place: Locator, name: string) => Promise<void>,
) {
  await page.goto(`${app.url}/admin`);
  await enter(page, admin);
  const lookAt = async (room: string) => {
    const items = page.locator(`#${room}-list > li`);
    await items.first().waitFor();
    for (const item of await items.all()) await look(item, room);
  };
  const go = (room: string) => page.locator("#rooms").getByRole("link", { name: room }).click();
  await lookAt("reports");
  const own = page.locator("#reports-list > li").filter({ hasText: reader.login });
  await own.getByRole("button", { name: "View" }).click();
  await page.locator("#reports-list .list li").first().waitFor();
  await lookAt("reports");
  await go("Accounts");
  await lookAt("accounts");
  await page.locator("#accounts-filter [name=q]").fill(author.login);
  await page.locator("#accounts-filter").getByRole("button").click();
  await page.locator("#accounts-list > li").nth(1).waitFor({ state: "detached" });
  await page.locator("#accounts-list").getByRole("button", { name: "Block" }).click();
  await page.getByText("This also hides").waitFor();
  await look(page.locator("#act"), "the dialog");
  await page.getByRole("button", { name: "Cancel" }).click();
  await go("Pages");
  await page.locator("#pages-filter [name=q]").fill(handle);
  await page.locator("#pages-filter").getByRole("button").click();
  await lookAt("pages");
  await page.locator("#pages-list").getByRole("button", { name: "Posts" }).first().click();
  await lookAt("posts");
  await go("Log");
  await lookAt("record");
  await page.getByText("Before and after").first().click();
  await lookAt("record");
}

/**
 * Our text, and other people's text without direction marks, runs from left to right: each word after the previous one,
 * and in a word the last character after the first. Returns the words of one line that do not.
 */
function turned(place: Locator): Promise<string[]> {
  // deno-lint-ignore no-explicit-any -- this runs in the browser
  return place.evaluate((root: any) => {
    // deno-lint-ignore no-explicit-any -- this runs in the browser
    const { document } = globalThis as any;
    const wrong: string[] = [];
    const rectOf = (node: unknown, from: number, to: number) => {
      const range = document.createRange();
      range.setStart(node, from);
      range.setEnd(node, to);
      return range.getBoundingClientRect();
    };
    const walker = document.createTreeWalker(root, 4);
    let before: { text: string; right: number; top: number } | undefined;
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      const text = node.data;
      const start = text.search(/\S/);
      const end = text.trimEnd().length;
      if (start < 0 || node.parentElement.closest(".unseen") || text.includes("\u202e")) {
        // Its container has no text of its own, so only its neighbours are compared.
        continue;
      }
      const first = rectOf(node, start, start + 1);
      const last = rectOf(node, end - 1, end);
      if (first.width + last.width === 0) continue;
      if (first.top === last.top && end - start > 1 && first.left >= last.left) wrong.push(`${text} is turned`);
      if (before && Math.abs(before.top - first.top) < 4 && first.left < before.right - 1) {
        wrong.push(`${text} is before ${before.text}`);
      }
      before = { text, right: last.right, top: last.top };
    }
    return wrong;
  });
}

browserTest("Direction marks in a name or text affect nothing around it", async (browser) => {
  const set = await scene(`${RLO} 12`);
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
  let places = 0;
  const look = async (place: Locator, name: string) => {
    places++;
    assert.deepEqual([name, await turned(place)], [name, []]);
  };
  await tour(page, set, look);
  await adminTour(page, set, look);
  assert.ok(places > 15, `${places} places`);
  // The check detects a wrong direction.
  await page.evaluate(`document.querySelector("#record-list p").replaceChildren("\u202eon Savings (", "@bank", ")")`);
  assert.notDeepEqual(await turned(page.locator("#record-list li").first()), []);
});

browserTest("Unbreakable text does not widen the page, on phones and large screens", async (browser) => {
  const set = await scene(WIDE);
  for (const width of [390, 1280]) {
    const page = await browser.newPage({ viewport: { width, height: 900 } });
    const look = async (place: Locator, name: string) => {
      // deno-lint-ignore no-explicit-any -- an element of the page
      const widest = await place.evaluate((element: any) => {
        const { document, getComputedStyle } = element.ownerDocument.defaultView;
        const holders = [document.documentElement, document.body];
        for (let one = element; one; one = one.parentElement) {
          if (/auto|scroll/.test(getComputedStyle(one).overflowX)) holders.push(one);
        }
        return Math.max(...holders.map(({ scrollWidth, clientWidth }) => scrollWidth - clientWidth));
      });
      // No button is cut off.
      for (const button of await place.getByRole("button").all()) {
        const box = await button.boundingBox();
        assert.ok(!box || (box.x >= 0 && box.x + box.width <= width), `${name}: a button is outside of the page`);
      }
      assert.ok(widest <= 1, `${name} is ${widest} px too wide at ${width} px`);
    };
    await tour(page, set, look);
    await adminTour(page, set, look);
    await page.close();
  }
});

browserTest("A long text is folded, and many blank lines are reduced", async (browser) => {
  const [ann, bob] = await people(app, "Ann", "Bob") as [Person, Person];
  const lines = Array.from({ length: 60 }, (_, i) => `line ${i}`).join("\n");
  await app.post(ann, { text: "Short" });
  await app.post(ann, { text: `top${"\n \u200b\n".repeat(900)}bottom` });
  const tall = await app.post(ann, { text: lines });
  await app.ok("POST", "/reports", {
    token: bob.token,
    body: { target: { kind: "post", id: tall.id }, reason: `${"too\n".repeat(100)}long` },
  });
  const admin = await app.person({ role: "admin" });
  const page = await browser.newPage({ viewport: { width: 390, height: 900 } });
  await openAs(page, app, ann);
  const height = async (text: Locator) => (await text.boundingBox())!.height;
  const post = page.locator("#posts li", { hasText: "line 1" });
  const more = post.getByRole("button", { name: "Show more" });
  await more.waitFor();
  assert.ok(await height(post) < 500);
  assert.equal(await more.getAttribute("aria-expanded"), "false");
  await more.focus();
  await page.keyboard.press("Enter");
  const less = post.getByRole("button", { name: "Show less" });
  assert.equal(await less.getAttribute("aria-expanded"), "true");
  assert.equal(await less.evaluate((button) => button.matches(":focus")), true);
  assert.ok(await height(post) > 1_000);
  // It stays unfolded while other people like it.
  await app.ok("PUT", `/posts/${tall.id}/like`, { token: bob.token });
  await post.locator(".like .count", { hasText: "1" }).waitFor();
  assert.ok(await height(post) > 1_000);
  await less.click();
  assert.ok(await height(post) < 500);
  assert.equal(
    await page.locator("#posts li", { hasText: "Short" }).getByRole("button", { name: "Show more" }).isVisible(),
    false,
  );
  const gap = page.locator("#posts li", { hasText: "top" });
  assert.equal(await gap.getByRole("button", { name: "Show more" }).isVisible(), false);
  assert.ok(await height(gap) < 300);
  await post.getByRole("button", { name: "replies" }).click();
  const view = page.locator("#post-itself article");
  await view.getByRole("button", { name: "Show more" }).waitFor();
  assert.ok(await height(view) < 500);

  await page.goto(`${app.url}/admin`);
  await page.getByText("is not an administrator").waitFor();
  await enter(page, admin);
  const report = page.locator("#reports-list > li", { hasText: "too" });
  await report.getByRole("button", { name: "Show more" }).waitFor();
  assert.ok(await height(report) < 600);
});

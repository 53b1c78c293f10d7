/** Two people, each in a tab of the same browser. */
import assert from "node:assert/strict";
import type { Page } from "../packages/playwright.ts";
import { ALL_ROLES, ownApp } from "../support/app.ts";
import type { Person } from "../support/person.ts";
import { browserTest } from "../support/browser.ts";
import { pngOf } from "../support/pictures.ts";
import { lasting } from "../support/session_tokens.ts";
import { until } from "../support/wait.ts";
import { openAs } from "../support/web_page.ts";

const app = ownApp({ ...ALL_ROLES, ACCESS_TOKEN_TTL: "6s" });

/** Loads the picture of the only photo again without the browser's cache. Returns whether it can be drawn. */
function draws(page: Page): Promise<boolean> {
  // deno-lint-ignore no-explicit-any -- an element of the page
  return page.locator("#posts .photos img").evaluate(async (img: any) => {
    const answer = await fetch(img.src, { cache: "no-store" });
    return answer.ok && await createImageBitmap(await answer.blob()).then(() => true, () => false);
  });
}

browserTest(
  "Another person's sign-in and the time do not affect a person's private photos",
  async (browser) => {
    const [ada, bob] = await app.people(2) as [Person, Person];
    for (const person of [ada, bob]) {
      const { token } = lasting(60_000, app, person);
      await app.ok("PATCH", `/pages/${person.page_id}`, { token, body: { is_private: true } });
      await app.post({ ...person, token }, { photos: [{ name: "a.png", data: (await pngOf(90, 60)).toBase64() }] });
    }
    const context = await browser.newContext();
    const [hers, his] = [await context.newPage(), await context.newPage()];
    await openAs(hers, app, ada);
    assert.equal(await draws(hers), true);
    await openAs(his, app, bob);
    assert.deepEqual([await draws(hers), await draws(his)], [true, true]);
    const began = Date.now();
    // Longer than the lifetime of the cookie, while both only listen.
    const renewed = await until("a renewed cookie", async () => {
      const [cookie] = await context.cookies(`${app.url}/api/v1/photos`);
      return cookie && cookie.expires * 1000 > began + 12_000 ? cookie : undefined;
    }, { timeoutMs: 40_000 });
    assert.equal(renewed.httpOnly, true);
    assert.deepEqual([await draws(hers), await draws(his)], [true, true]);
    await his.getByRole("button", { name: "Sign out" }).click();
    await his.locator("#sign-in").waitFor();
    assert.equal(await draws(hers), true);
    const names = (await context.cookies(`${app.url}/api/v1/photos`)).map(({ name }) => name);
    assert.deepEqual(names, [`rookery_photos_${ada.id}`]);
  },
);

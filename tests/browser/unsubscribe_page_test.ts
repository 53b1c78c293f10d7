import assert from "node:assert/strict";
import { emailLinks } from "../../jobs/email/unsubscribe.ts";
import { sharedApp } from "../support/app.ts";
import { browserTest, watch } from "../support/browser.ts";

const app = sharedApp();

browserTest(
  "The unsubscribe page works without JavaScript and reports an incomplete link",
  async (browser) => {
    const ann = await app.person();
    const context = await browser.newContext({ javaScriptEnabled: false });
    const page = await context.newPage();
    const emailsOf = async () => (await app.ok("GET", "/notifications/settings", { token: ann.token })).letters;
    const link = emailLinks(app.ctx.secret, app.url, ann.id).unsubscribe;
    await page.goto(link.slice(0, -1));
    await page.getByRole("heading", { name: "The link is invalid" }).waitFor();
    assert.equal(await page.getByRole("button").count(), 0);
    const complaints = watch(page, app.url);
    await page.goto(link);
    assert.equal(await emailsOf(), "at_once");
    await page.getByRole("button", { name: "Unsubscribe" }).click();
    await page.getByRole("heading", { name: "You have unsubscribed from emails about posts" }).waitFor();
    assert.equal(await emailsOf(), "never");
    assert.deepEqual(complaints, []);
  },
);

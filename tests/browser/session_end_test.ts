/** The message for a session that ends elsewhere. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { sharedApp } from "../support/app.ts";
import type { Person } from "../support/person.ts";
import { people } from "../support/notification_page.ts";
import { browserTest, intercept } from "../support/browser.ts";
import { openAs, signIn } from "../support/web_page.ts";

const app = sharedApp();
const ELSEWHERE = "You signed in elsewhere, so this session has ended. Please sign in again.";

browserTest(
  "A sign-in elsewhere or a block is reported by the socket and by the next response",
  async (browser) => {
    const { token } = await app.admin();
    const block = ({ id }: Person) =>
      app.ok("POST", `/users/${id}/block`, { token, body: { reason: "Too many feathers", until: null } });
    const ends: [(person: Person) => Promise<unknown>, RegExp][] = [
      [({ login }) => app.signIn(login), new RegExp(`^${ELSEWHERE}$`)],
      [block, /^The account is blocked permanently: Too many feathers$/],
    ];
    for (const [end, said] of ends) {
      for (const silent of [false, true]) {
        const [ann] = await people(app, "Ann") as [Person];
        await app.post(ann);
        const page = await browser.newPage();
        if (silent) {
          // The socket does not report it.
          await page.routeWebSocket("**/feed/live?*", (socket) => {
            const server = socket.connectToServer();
            server.onClose(() => {});
          });
        }
        // A request of the start that meets the end would report it before the click; these are the last ones.
        const loads = ["failed", "processing"].map((state) => page.waitForResponse(`**/posts?*state=${state}*`));
        await openAs(page, app, ann);
        for (const load of loads) await (await load).finished();
        await end(ann);
        if (silent) await page.locator("#posts .like").click();
        await page.locator("#alert", { hasText: /./ }).waitFor();
        assert.match(await page.locator("#alert").innerText(), said);
        await page.locator("#sign-in").waitFor();
        assert.equal(await page.evaluate(() => sessionStorage.getItem("tokens")), null);
        await page.close();
      }
    }
  },
);

browserTest(
  "A draft is restored only for the same person after the session ended elsewhere",
  async (browser) => {
    const [ann, bob] = await people(app, "Ann", "Bob") as [Person, Person];
    const post = await app.post(ann, { text: "To be answered" });
    const page = await browser.newPage();
    await page.goto(app.url);
    const write = page.locator("#write textarea");
    const photos = page.locator("#write [type=file]");
    const names = () =>
      // deno-lint-ignore no-explicit-any -- an element of the page
      photos.evaluate((one: any) => [...one.files].map(({ name, size }) => [name, size]));
    const answer = page.locator("#answer textarea");
    const endElsewhere = async () => {
      await app.signIn(ann.login);
      await page.locator("#alert", { hasText: ELSEWHERE }).waitFor();
      await page.locator("#sign-in").waitFor();
      assert.equal(await write.inputValue(), "");
    };
    await signIn(page, ann);
    await write.fill("A draft");
    await photos.setInputFiles([{ name: "a.png", mimeType: "image/png", buffer: Buffer.from("some bytes") }]);
    await endElsewhere();
    await signIn(page, ann);
    await page.locator("#notice", { hasText: "draft was restored" }).waitFor();
    assert.deepEqual([await write.inputValue(), await names()], ["A draft", [["a.png", 10]]]);
    // A reply, in the view of its post.
    await page.locator(`[data-post="${post.id}"] .answers`).click();
    await answer.fill("An answer");
    await endElsewhere();
    await signIn(page, ann);
    await answer.waitFor();
    assert.equal(await answer.inputValue(), "An answer");
    assert.match(await page.locator("#post-itself").innerText(), /To be answered/);
    await page.locator("#post-close").click();
    assert.equal(await write.inputValue(), "A draft");
    // Another person signs in between.
    await endElsewhere();
    await signIn(page, bob);
    assert.equal(await write.inputValue(), "");
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.locator("#sign-in").waitFor();
    await signIn(page, ann);
    assert.equal(await write.inputValue(), "");
    // A voluntary sign-out drops the draft.
    await write.fill("Not to be kept");
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.locator("#sign-in").waitFor();
    await signIn(page, ann);
    assert.equal(await write.inputValue(), "");
  },
);

browserTest(
  "While the feed loads after a sign-in the focus is on its heading, and it is not moved later",
  async (browser) => {
    const [ann] = await people(app, "Ann") as [Person];
    const page = await browser.newPage();
    await page.goto(app.url);
    const gate = Promise.withResolvers<void>();
    await intercept(page, "**/api/v1/feed?*", async (route) => {
      await gate.promise;
      await route.continue();
    });
    // deno-lint-ignore no-explicit-any -- this runs in the browser
    const focused = () => page.evaluate(() => (globalThis as any).document.activeElement.id);
    await page.locator("#sign-in [name=login]").fill(ann.login);
    await page.locator("#sign-in [name=password]").fill(ann.password);
    await page.locator("#sign-in [name=password]").press("Enter");
    await page.locator("#home").waitFor();
    assert.equal(await focused(), "feed-title");
    await page.locator("#bell").focus();
    gate.resolve();
    await page.locator("#live[data-state=on]").waitFor();
    await page.locator("[aria-busy=true]").first().waitFor({ state: "detached" });
    assert.equal(await focused(), "bell");
  },
);

browserTest(
  "A closed socket ends no session until the server gives the reason",
  async (browser) => {
    const [ann] = await people(app, "Ann") as [Person];
    const page = await browser.newPage();
    await openAs(page, app, ann);
    await page.locator("#write textarea").fill("A draft");
    await intercept(page, "**/api/v1/**", (route) => route.abort());
    await app.signIn(ann.login);
    await page.locator("#alert", { hasText: "cannot be reached" }).waitFor();
    assert.equal(await page.locator("#write textarea").inputValue(), "A draft");
    await page.unrouteAll();
    await page.locator("#alert", { hasText: ELSEWHERE }).waitFor();
    await page.locator("#sign-in").waitFor();
  },
);

/** A session that ends somewhere else: what is said of it, and when. */
import assert from "node:assert/strict";
import { type Person, sharedApp } from "../support/app.ts";
import { people, signIn } from "../support/bell_page.ts";
import { chromiumPath, launchChromium } from "../support/browser.ts";

const app = sharedApp();
const executable = chromiumPath();
/** Playwright keeps a connection to the browser between steps. */
const options = { ignore: executable === undefined, sanitizeOps: false, sanitizeResources: false };
const ELSEWHERE = "You signed in elsewhere, which ended the session here. Please sign in again.";

Deno.test({
  name: "Whoever signs in elsewhere or is blocked is told so, by the socket and by the next answer alike",
  ...options,
  fn: async () => {
    const { token } = await app.admin();
    const block = ({ id }: Person) =>
      app.ok("POST", `/users/${id}/block`, { token, body: { reason: "Too many feathers", until: null } });
    const ends: [(person: Person) => Promise<unknown>, RegExp][] = [
      [({ login }) => app.signIn(login), new RegExp(`^${ELSEWHERE}$`)],
      [block, /^The account is blocked for good: Too many feathers$/],
    ];
    await using browser = await launchChromium(executable!);
    for (const [end, said] of ends) {
      for (const silent of [false, true]) {
        const [ann] = await people(app, "Ann") as [Person];
        await app.post(ann);
        const page = await browser.newPage();
        if (silent) {
          // The socket says nothing of it.
          await page.routeWebSocket("**/feed/live?*", (socket) => {
            const server = socket.connectToServer();
            server.onClose(() => {});
          });
        }
        await page.goto(app.url);
        await signIn(page, ann);
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
});

Deno.test({
  name: "While nobody can say why the socket was closed, nobody is thrown out; once somebody can, it is said",
  ...options,
  fn: async () => {
    const [ann] = await people(app, "Ann") as [Person];
    await using browser = await launchChromium(executable!);
    const page = await browser.newPage();
    await page.goto(app.url);
    await signIn(page, ann);
    await page.locator("#write textarea").fill("A draft");
    await page.route("**/api/v1/**", (route) => route.abort());
    await app.signIn(ann.login);
    await page.locator("#alert", { hasText: "out of reach" }).waitFor();
    assert.equal(await page.locator("#write textarea").inputValue(), "A draft");
    await page.unrouteAll();
    await page.locator("#alert", { hasText: ELSEWHERE }).waitFor();
    await page.locator("#sign-in").waitFor();
  },
});

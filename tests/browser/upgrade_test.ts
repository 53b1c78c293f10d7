/** A page in the browser while its server is upgraded. */
import assert from "node:assert/strict";
import { Hono } from "hono";
import { docsRoutes } from "../../routes/docs.ts";
import { WEB_FOLDER } from "../../routes/assets.ts";
import { sharedApp } from "../support/app.ts";
import type { Person } from "../support/person.ts";
import { browserTest, intercept, watch } from "../support/browser.ts";
import { openAs } from "../support/web_page.ts";

const app = sharedApp();

/** The site's files with `from` replaced by `to`. */
async function changedSite(from: string, to: string): Promise<URL> {
  const folder = new URL(`file://${await Deno.makeTempDir({ prefix: "rookery-web-" })}/`);
  const copy = async (source: URL, target: URL) => {
    await Deno.mkdir(target, { recursive: true });
    for await (const { name, isDirectory } of Deno.readDir(source)) {
      if (isDirectory) await copy(new URL(`${name}/`, source), new URL(`${name}/`, target));
      else {
        const text = await Deno.readTextFile(new URL(name, source));
        await Deno.writeTextFile(new URL(name, target), text.replaceAll(from, to));
      }
    }
  };
  await copy(WEB_FOLDER, folder);
  return folder;
}

browserTest(
  "After an upgrade a reload gives the new page with its own scripts, also with a cache",
  async (browser) => {
    const serve = (folder: URL, port: number) => {
      const site = new Hono();
      docsRoutes({ app: site }, "{}", folder);
      return Deno.serve({ port, hostname: "127.0.0.1", onListen: () => {} }, site.fetch);
    };
    const changed = await changedSite('"door"', '"porch"');
    const page = await browser.newPage();
    const old = serve(WEB_FOLDER, 0);
    const { port } = old.addr;
    const url = `http://127.0.0.1:${port}`;
    const complaints = watch(page, url);
    await page.goto(url);
    await page.locator("#door").waitFor();
    await old.shutdown();
    const replaced = serve(changed, port);
    await page.reload();
    await page.locator("#porch").waitFor();
    assert.equal(await page.locator("#starting").count(), 0);
    // A link gives the same version as a reload.
    await page.goto("about:blank");
    await page.goto(url);
    await page.locator("#porch").waitFor();
    await replaced.shutdown();
    await Deno.remove(changed, { recursive: true });
    assert.deepEqual(complaints, []);
  },
);

browserTest("An open page keeps working over an upgrade and offers the new version", async (browser) => {
  const [ann] = await app.people(1) as [Person];
  const page = await browser.newPage();
  await page.clock.install();
  await openAs(page, app, ann);
  assert.equal(await page.locator("#newer").isVisible(), false);
  await intercept(page, "**/assets/**", (route) => route.fulfill({ status: 404 }));
  await page.clock.fastForward("02:00");
  await page.evaluate(() => dispatchEvent(new Event("visibilitychange")));
  await page.locator("#newer", { hasText: "A new version is available." }).waitFor();
  await page.locator("#write textarea").fill("Still here");
  await page.getByRole("button", { name: "Post", exact: true }).click();
  await page.locator("#posts .text", { hasText: "Still here" }).waitFor();
  await page.unroute("**/assets/**");
  await page.getByRole("button", { name: "Reload" }).click();
  await page.locator("#newer").waitFor({ state: "hidden" });
  await page.locator("#live[data-state=on]").waitFor();
});

browserTest("A page whose scripts fail to load shows a message", async (browser) => {
  const page = await browser.newPage();
  await page.route("**/app/page.js", (route) => route.fulfill({ status: 404 }));
  for (const path of ["/", "/admin"]) {
    await page.goto(app.url + path);
    await page.getByText("Loading.").waitFor();
    assert.equal(await page.getByRole("link", { name: "reload the page" }).count(), 1);
  }
});

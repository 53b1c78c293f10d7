import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { sharedApp } from "../support/app.ts";
import { newLogin, PASSWORD, type Person } from "../support/person.ts";
import { jpegOf } from "../support/pictures.ts";
import { browserTest, watch } from "../support/browser.ts";
import { until } from "../support/wait.ts";
import { openAs, shot } from "../support/web_page.ts";

const app = sharedApp();

browserTest(
  "A person registers, confirms, posts and receives another person's post live, in the browser",
  async (browser) => {
    const page = await browser.newPage();
    const complaints = watch(page, app.url);
    const login = newLogin("web");
    await page.goto(app.url);
    const form = page.locator("#register");
    await form.locator("[name=login]").fill(login);
    await form.locator("[name=email]").fill(`${login}@rookery.test`);
    await form.locator("[name=first_name]").fill("Wren");
    await form.locator("[name=last_name]").fill("Webb");
    await form.locator("[name=password]").fill(PASSWORD);
    await form.getByRole("button", { name: "Register" }).click();

    await page.locator("#verify").waitFor();
    await page.locator("#verify [name=code]").fill(await app.code(`${login}@rookery.test`));
    await page.getByRole("button", { name: "Confirm" }).click();
    await page.locator("#verify").waitFor({ state: "hidden" });

    await page.locator("#write textarea").fill("From the browser <b>itself</b>");
    await page.getByRole("button", { name: "Post" }).click();
    await page.locator("#posts .text", { hasText: "From the browser <b>itself</b>" }).waitFor();
    assert.equal(await page.locator("#posts b").count(), 0, "text is never markup");

    const [followed, other] = await app.people(2) as [Person, Person];
    await page.locator("#follow [name=handle]").fill(followed.login);
    await page.locator("#follow").getByRole("button").click();
    await page.locator("#notice", { hasText: followed.login }).waitFor();
    await page.locator("#search [name=q]").fill(other.login.toUpperCase());
    await page.getByRole("button", { name: "Search" }).click();
    await page.locator("#found li", { hasText: other.login }).getByRole("button", { name: "Follow" }).click();
    await page.locator("#live[data-state=on]").waitFor();
    // A post is sent only after the follow is complete.
    await page.locator("#notice", { hasText: other.login }).waitFor();
    const text = "Heard without reloading";
    await app.post(other, { text });
    const heard = page.locator("#posts li", { hasText: text });
    await heard.waitFor();
    await heard.locator(".like").click();
    await heard.locator(".like[aria-pressed=true]").waitFor();
    await shot(page, "client");
    assert.deepEqual(complaints, []);
  },
);

browserTest(
  "A person posts photos on a private page and changes their picture; the browser shows both",
  async (browser) => {
    const page = await browser.newPage();
    const complaints = watch(page, app.url);
    const person = await app.person();
    await app.ok("PATCH", `/pages/${person.page_id}`, { token: person.token, body: { is_private: true } });
    await openAs(page, app, person);

    const files = await Promise.all(([[1600, 900], [500, 800]] as const).map(async ([width, height], i) => ({
      name: `photo${i}.jpg`,
      mimeType: "image/jpeg",
      buffer: Buffer.from(await jpegOf(width, height)),
    })));
    await page.locator("#write [name=photos]").setInputFiles(files);
    await page.getByRole("button", { name: "Post" }).click();
    const photos = page.locator("#posts .photos img");
    await photos.nth(1).waitFor();
    await page.locator("#picture").setInputFiles(files[0]!);
    await page.locator("#who-picture[src]").waitFor();
    const drawn = () =>
      page.evaluate(() =>
        // deno-lint-ignore no-explicit-any -- this runs in the browser
        [...(globalThis as any).document.querySelectorAll("#posts .photos img, #who-picture")].map((img: any) =>
          img.complete && img.naturalWidth > 0
        )
      );
    const shown = await until("drawn pictures", async () => {
      const pictures: boolean[] = await drawn();
      return pictures.every((whole) => whole) ? pictures : undefined;
    });
    assert.deepEqual(shown, [true, true, true]);
    await shot(page, "photos");
    assert.deepEqual(complaints, []);
  },
);

browserTest("The API reference is rendered in the browser without other servers", async (browser) => {
  const page = await browser.newPage();
  const complaints = watch(page, app.url);
  await page.goto(`${app.url}/docs`);
  await page.getByText("Register an account").first().waitFor();
  assert.deepEqual(complaints, []);
});

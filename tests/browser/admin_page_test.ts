/** The administration in a browser: actions of administrators, and the refusal of all others. */
import assert from "node:assert/strict";
import type { Page } from "../packages/playwright.ts";
import { sharedApp } from "../support/app.ts";
import { PASSWORD, type Person } from "../support/person.ts";
import { people } from "../support/notification_page.ts";
import { browserTest, intercept, watch } from "../support/browser.ts";
import { pngOf } from "../support/pictures.ts";
import { enter, shot } from "../support/web_page.ts";

const app = sharedApp();

/** A separate administrator per test, because a sign-in ends the earlier session. */
async function administrator(): Promise<Person> {
  const [person] = await people(app, "Ada") as [Person];
  const { token } = await app.admin();
  await app.ok("PUT", `/users/${person.id}/role`, { token, body: { role: "admin" } });
  return person;
}

browserTest(
  "An administrator blocks, unblocks, changes roles, deletes, and finds each action in the log",
  async (browser) => {
    const [ann, bob] = await people(app, "Ann", "Bob") as [Person, Person];
    const admin = await administrator();
    await app.follow(bob, ann.page_id);
    await app.post(ann, { text: "A <b>bold</b> post" });
    const page = await browser.newPage();
    const complaints = watch(page, app.url);
    await page.goto(`${app.url}/admin`);
    await enter(page, admin);
    await blockAndUnblock(page, ann);
    await changeRole(page, ann);
    await moderatePage(page, ann);
    await deleteAccount(page, bob);
    await readLog(page, { admin, ann, bob });
    await handleJobs(page);
    await watchNodes(page);
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.locator("#sign-in").waitFor();
    assert.equal(await page.locator("#record-list li").count(), 0);
    // The browser itself logs refused requests.
    assert.deepEqual(complaints, []);
  },
);

browserTest("A report is viewed, taken and closed on the reports page", async (browser) => {
  const [ann, bob] = await people(app, "Ann", "Bob") as [Person, Person];
  const admin = await administrator();
  // On a private page, whose photos not everyone may see.
  const hidden = await app.page(ann, { name: "Hidden", is_private: true });
  await app.ok("PUT", `/pages/${hidden.id}/follow`, { token: bob.token });
  await app.ok("POST", `/pages/${hidden.id}/requests/accept`, { token: ann.token, body: { user_ids: [bob.id] } });
  const photos = [{ name: "a.png", data: (await pngOf(90, 60)).toBase64(), alt: "A feather with a price" }];
  const post = await app.post(ann, { text: "Buy my feathers", photos }, hidden.id);
  const reported = async (kind: string, id: string, reason: string) =>
    await app.ok("POST", "/reports", { token: bob.token, body: { target: { kind, id }, reason } });
  await reported("post", post.id, "It is an advertisement");
  await reported("account", ann.id, "She is a bot");
  const page = await browser.newPage();
  const complaints = watch(page, app.url);
  await page.goto(`${app.url}/admin`);
  await enter(page, admin);
  const item = (text: string) => page.locator("#reports-list > li").filter({ hasText: text });
  const dialog = page.getByRole("dialog");
  await item("It is an advertisement").getByRole("button", { name: "Take" }).click();
  await item("It is an advertisement").getByText(`Taken by ${admin.login}`).waitFor();
  await item("It is an advertisement").getByRole("button", { name: "View" }).click();
  const picture = item("It is an advertisement").getByRole("img", { name: "A feather with a price" });
  await picture.evaluate((img) => (img as unknown as { decode(): Promise<void> }).decode());
  await shot(page, "admin_report");
  await item("It is an advertisement").locator("ol").getByRole("button", { name: "Delete" }).click();
  await dialog.getByRole("button", { name: "Delete" }).click();
  await dialog.waitFor({ state: "hidden" });
  assert.equal((await app.call("GET", `/posts/${post.id}`, { token: bob.token })).status, 404);
  await shot(page, "admin_reports");
  await item("It is an advertisement").getByRole("button", { name: "Close: acted" }).click();
  await dialog.locator("[name=reason]").fill("Deleted");
  await dialog.getByRole("button", { name: "Close" }).click();
  await item("It is an advertisement").getByText(`Closed by ${admin.login}, with action taken: Deleted`).waitFor();

  // deno-lint-ignore no-explicit-any -- an element of the page
  await item("She is a bot").evaluate((one: any) => one.dataset.before = "");
  await item("She is a bot").getByRole("button", { name: "View" }).click();
  await page.locator("#accounts-list li").filter({ hasText: ann.login }).waitFor();
  assert.equal(new URL(page.url()).hash, "#accounts");
  await page.goBack();
  // The list is read again: an answer could not change an item that is replaced meanwhile.
  await item("She is a bot").and(page.locator(":not([data-before])")).waitFor();
  await item("She is a bot").getByRole("button", { name: "Dismiss" }).click();
  await dialog.getByRole("button", { name: "Close" }).click();
  await item("She is a bot").getByText("without action").waitFor();
  assert.deepEqual(complaints, []);
});

browserTest(
  "Late answers are dropped, a started action cannot be cancelled, and a session's end closes the dialog",
  async (browser) => {
    const [ann, bob] = await people(app, "Ann", "Bob") as [Person, Person];
    const admin = await administrator();
    await app.post(ann, { text: "One" });
    const page = await browser.newPage();
    await page.goto(`${app.url}/admin`);
    await enter(page, admin);
    await page.getByRole("navigation", { name: "Administration" }).getByRole("link", { name: "Accounts" }).click();
    const dialog = page.getByRole("dialog");
    const item = (person: Person) => page.locator("#accounts-list li").filter({ hasText: person.login });
    const held = Promise.withResolvers<void>();
    const late = Promise.withResolvers<void>();
    await intercept(page, `**/users/${ann.id}/block?dry_run=true`, async (route) => {
      await held.promise;
      await route.continue();
    });
    page.on("response", (response) => {
      if (response.url().includes(`${ann.id}/block?dry_run`)) response.finished().then(() => late.resolve());
    });
    await item(ann).getByRole("button", { name: "Block" }).click();
    await dialog.getByRole("button", { name: "Cancel" }).click();
    await item(bob).getByRole("button", { name: "Block" }).click();
    await dialog.getByText("This also hides: 1 page, 0 posts. Followers: 0.").waitFor();
    held.resolve();
    await late.promise;
    await page.waitForTimeout(100);
    await dialog.getByText("This also hides: 1 page, 0 posts. Followers: 0.").waitFor();

    const begun = Promise.withResolvers<void>();
    const going = Promise.withResolvers<void>();
    await intercept(page, `**/users/${bob.id}/block`, async (route) => {
      begun.resolve();
      await going.promise;
      await route.continue();
    });
    await dialog.locator("[name=reason]").fill("Enough");
    await dialog.getByRole("button", { name: "Block" }).click();
    await begun.promise;
    assert.equal(await dialog.getByRole("button", { name: "Cancel" }).isDisabled(), true);
    // Several times, since a browser lets a dialog prevent only one close.
    for (let i = 0; i < 3; i++) await page.keyboard.press("Escape");
    going.resolve();
    await item(bob).getByText("Blocked until").waitFor();
    await dialog.waitFor({ state: "hidden" });

    await item(ann).getByRole("button", { name: "Delete" }).click();
    await app.signIn(admin.login, PASSWORD);
    await dialog.locator("[name=word]").fill(ann.login);
    await dialog.getByRole("button", { name: "Delete" }).click();
    await page.locator("#sign-in").waitFor();
    await dialog.waitFor({ state: "hidden" });
    assert.equal(await page.locator("#accounts-list li").count(), 0);
    assert.equal((await app.call("GET", "/users/me", { token: ann.token })).status, 200);
  },
);

browserTest(
  "People who are not administrators are refused; an administrator finds the link on the site",
  async (browser) => {
    const [ann] = await people(app, "Ann") as [Person];
    const admin = await administrator();
    const page = await browser.newPage();
    await page.goto(`${app.url}/admin`);
    await enter(page, ann);
    await page.getByText(`${ann.login} is not an administrator.`).waitFor();
    assert.equal(await page.locator("#panel").isVisible(), false);
    await page.goto(app.url);
    await page.locator("#live[data-state=on]").waitFor();
    assert.equal(await page.locator("#admin-link").isVisible(), false);
    await page.getByRole("button", { name: "Sign out" }).click();
    await enter(page, admin);
    await page.getByRole("link", { name: "Administration" }).click();
    await page.getByRole("heading", { name: "Reports" }).waitFor();
    await page.locator("#reports-list > li, #reports-empty:not([hidden])").first().waitFor();
    // Without the role the next request is rejected.
    const { token } = await app.admin();
    await app.ok("PUT", `/users/${admin.id}/role`, { token, body: { role: "user" } });
    await page.getByRole("navigation", { name: "Administration" }).getByRole("link", { name: "Accounts" }).click();
    await page.locator("#sign-in").waitFor();
  },
);

/** The administration opens one of its parts. */
async function room(page: Page, name: string): Promise<void> {
  const links = page.getByRole("navigation", { name: "Administration" });
  await links.getByRole("link", { name, exact: true }).click();
}

/** A block hides pages and posts, needs a reason, and ends the person's access until it is lifted. */
async function blockAndUnblock(page: Page, ann: Person): Promise<void> {
  const dialog = page.getByRole("dialog");
  await room(page, "Accounts");
  await page.locator("#accounts-filter [name=q]").fill(ann.login);
  await page.locator("#accounts-filter").getByRole("button").click();
  const account = page.locator("#accounts-list li").filter({ hasText: ann.login });
  await account.getByRole("button", { name: "Block" }).click();
  await dialog.getByText("This also hides: 1 page, 1 post. Followers: 1.").waitFor();
  // A reason is required.
  await dialog.getByRole("button", { name: "Block" }).click();
  await dialog.locator("[name=reason]").fill("Spam, again");
  await dialog.locator("[name=until]").selectOption({ label: "Permanently" });
  await shot(page, "admin_block");
  await dialog.getByRole("button", { name: "Block" }).click();
  await account.getByText("Blocked permanently: Spam, again").waitFor();
  assert.equal((await app.call("GET", "/feed", { token: ann.token })).status, 403);
  await shot(page, "admin_accounts");
  await account.getByRole("button", { name: "Unblock" }).click();
  await dialog.getByRole("button", { name: "Unblock" }).click();
  await account.getByText("Blocked permanently").waitFor({ state: "detached" });
}

/** A role that was cancelled is not changed; one that was confirmed is. */
async function changeRole(page: Page, ann: Person): Promise<void> {
  const dialog = page.getByRole("dialog");
  const account = page.locator("#accounts-list li").filter({ hasText: ann.login });
  await account.getByRole("combobox").selectOption("moderator");
  await dialog.getByRole("button", { name: "Cancel" }).click();
  assert.equal(await account.getByRole("combobox").inputValue(), "user");
  // Cancelled and opened again at once: the second dialog is not confused with the first.
  // deno-lint-ignore no-explicit-any -- an element of the page
  await account.getByRole("combobox").evaluate((select: any) => {
    for (const again of [false, true]) {
      select.value = "moderator";
      select.dispatchEvent(new Event("change"));
      if (!again) select.ownerDocument.getElementById("act-cancel").click();
    }
  });
  await dialog.getByRole("button", { name: "Change the role" }).click();
  await dialog.waitFor({ state: "hidden" });
  assert.equal(await account.getByRole("combobox").inputValue(), "moderator");
}

/** A page is blocked for a while and one of its posts is deleted. */
async function moderatePage(page: Page, ann: Person): Promise<void> {
  const dialog = page.getByRole("dialog");
  await room(page, "Pages");
  await page.locator("#pages-filter [name=q]").fill(ann.login);
  await page.locator("#pages-filter").getByRole("button").click();
  const found = page.locator("#pages-list li").filter({ hasText: `@${ann.login}` });
  await found.getByRole("button", { name: "Block" }).click();
  await dialog.locator("[name=reason]").fill("For a while");
  await dialog.getByRole("button", { name: "Block" }).click();
  await found.getByText(/^Blocked until .*: For a while$/).waitFor();
  await found.getByRole("button", { name: "Posts" }).click();
  const post = page.locator("#posts-list li").filter({ hasText: "A <b>bold</b> post" });
  await shot(page, "admin_pages");
  await post.getByRole("button", { name: "Delete" }).click();
  await dialog.locator("[name=reason]").fill("Too bold");
  await dialog.getByRole("button", { name: "Delete" }).click();
  await post.waitFor({ state: "detached" });
}

/** An account is deleted only after its login was typed. */
async function deleteAccount(page: Page, bob: Person): Promise<void> {
  const dialog = page.getByRole("dialog");
  await room(page, "Accounts");
  await page.locator("#accounts-filter [name=q]").fill(bob.login);
  await page.locator("#accounts-filter").getByRole("button").click();
  const other = page.locator("#accounts-list li").filter({ hasText: bob.login });
  await other.getByRole("button", { name: "Delete" }).click();
  await dialog.locator("[name=word]").fill("another login");
  await dialog.getByRole("button", { name: "Delete" }).click();
  await dialog.getByText(`That is not "${bob.login}".`).waitFor();
  await dialog.locator("[name=word]").fill(bob.login);
  await dialog.getByRole("button", { name: "Delete" }).click();
  await other.waitFor({ state: "detached" });
  assert.equal((await app.call("GET", "/feed", { token: bob.token })).status, 401);
}

/** The log has an entry per act, newest first, and a filter by kind of act. */
async function readLog(page: Page, { admin, ann, bob }: Record<"admin" | "ann" | "bob", Person>): Promise<void> {
  const record = page.locator("#record-list");
  await room(page, "Log");
  await record.getByText("Too bold").waitFor();
  const lines = (await record.locator("li > p:first-child").allInnerTexts()).slice(0, 6);
  assert.deepEqual(lines.map((line) => line.replaceAll(ann.login, "ann").replaceAll(bob.login, "bob")), [
    `${admin.login} (admin) deleted an account: bob`,
    `${admin.login} (admin) deleted a post: ann: A <b>bold</b> post`,
    `${admin.login} (admin) blocked a page: ann`,
    `${admin.login} (admin) changed a role: ann`,
    `${admin.login} (admin) unblocked an account: ann`,
    `${admin.login} (admin) blocked an account: ann`,
  ]);
  await page.locator("#record-filter [name=act]").selectOption("account.role");
  await page.locator("#record-filter").getByRole("button").click();
  await record.getByText("Too bold").waitFor({ state: "detached" });
  await record.locator("li").filter({ hasText: ann.login }).getByText("Before and after").click();
  assert.match(await record.locator("pre").first().innerText(), /"moderator"/);
  await shot(page, "admin_record");
}

/** Dead jobs are tried again or deleted. */
async function handleJobs(page: Page): Promise<void> {
  await room(page, "Jobs");
  await page.getByText("No jobs in this state.").waitFor();
  await app.ctx.sql.execute(
    `insert into jobs (id, kind, payload, state, attempts, last_error, run_at)
  select gen_random_uuid(), 'test', '{}', 'dead', 12, 'tried for the time no. ' || i, now()
    from generate_series(1, 2) i`,
  );
  await page.locator("#jobs-filter").getByRole("button").click();
  const job = (n: number) => page.locator("#jobs-list li").filter({ hasText: `no. ${n}` });
  await job(1).getByRole("button", { name: "Try again" }).click();
  await job(1).waitFor({ state: "detached" });
  await job(2).getByRole("button", { name: "Delete" }).click();
  await page.getByText("No jobs in this state.").waitFor();
  const left = await app.ctx.sql.query("select last_error from jobs where kind = 'test' and state <> 'dead'");
  assert.equal(left.length, 1);
}

/** A node whose lease is over is shown as such, without a reload. */
async function watchNodes(page: Page): Promise<void> {
  await room(page, "Nodes");
  const nodes = page.locator("#nodes-list li");
  await nodes.filter({ hasText: "this node answered" }).getByText("64 of 64 partitions").waitFor();
  await app.ctx.sql.execute(
    `insert into nodes (id, url, actors, lease_until, told)
    values (gen_random_uuid(), 'http://10.0.0.2:8000', true, now() - interval '1 minute', 0)`,
  );
  // It is read again by itself.
  await nodes.filter({ hasText: "10.0.0.2" }).getByText("Its lease is over").waitFor();
  await shot(page, "admin_nodes");
  await app.ctx.sql.execute("delete from nodes where url = 'http://10.0.0.2:8000'");
}

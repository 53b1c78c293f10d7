/** The notification list of the web client in tests with a browser. */
import assert from "node:assert/strict";
import type { Page } from "../packages/playwright.ts";
import type { TestApp } from "./app.ts";
import type { Person } from "./person.ts";
import { until } from "./wait.ts";

/** People with these first names and the last name Lovelace. */
export async function people(app: TestApp, ...names: string[]): Promise<Person[]> {
  const made = await app.people(names.length);
  await Promise.all(
    made.map(({ id, token }, i) => app.ok("PATCH", `/users/${id}`, { token, body: { first_name: names[i] } })),
  );
  return made;
}

export function like(app: TestApp, { token }: Person, post: string): Promise<unknown> {
  return app.ok("PUT", `/posts/${post}/like`, { token });
}

/** Waits until the page's socket has received a frame with this name. */
export function heard(page: Page, name: string): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  page.on("websocket", (socket) =>
    socket.on("framereceived", ({ payload }) => {
      if (String(payload).includes(`"${name}"`)) resolve();
    }));
  return promise;
}

/** Waits until the bell shows this count; 0 is shown without a number. */
export async function counts(page: Page, unread: number): Promise<void> {
  if (unread === 0) await page.locator("#bell-unread").waitFor({ state: "hidden" });
  else await page.locator("#bell-count", { hasText: new RegExp(`^${unread}$`) }).waitFor();
}

/** Waits until the list is exactly this; `●` marks unread entries. */
export async function says(page: Page, lines: string[]): Promise<void> {
  let last: string[] = [];
  await until("the lines of the notification list", async () => {
    const items = await page.locator("#bell-list li").all();
    last = await Promise.all(items.map(async (item) => {
      const unread = await item.locator(".mark").isVisible();
      const text = await item.locator("p").innerText();
      return `${unread ? "● " : ""}${text.replace(/^Unread:\s*/, "").replaceAll(/\s+/g, " ").trim()}`;
    }));
    return JSON.stringify(last) === JSON.stringify(lines) || undefined;
  }).catch(() => assert.deepEqual(last, lines));
}

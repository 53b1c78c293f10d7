/** The web client and the administration in a browser: signing in, pressing, waiting and looking. */
import type { Locator, Page } from "../packages/playwright.ts";
import type { TestApp } from "./app.ts";
import type { Person } from "./person.ts";

type Account = Pick<Person, "login" | "password">;

/** Fills the form and sends it, by its button or by a key, and waits for nothing. */
export async function enter(page: Page, { login, password }: Account, key?: string): Promise<void> {
  await page.locator("#sign-in [name=login]").fill(login);
  await page.locator("#sign-in [name=password]").fill(password);
  if (key === undefined) await page.locator("#sign-in").getByRole("button").click();
  else await page.keyboard.press(key);
}

/** Signs in on the open page, and waits until it is live. */
export async function signIn(page: Page, account: Account, key?: string): Promise<void> {
  await enter(page, account, key);
  await page.locator("#live[data-state=on]").waitFor();
}

/** Opens the web client and signs in. */
export async function openAs(page: Page, { url }: TestApp, account: Account): Promise<void> {
  await page.goto(url);
  await signIn(page, account);
}

/** A sign-in on the page ends the person's other session: this is the token of the page. */
export function tokenOf(page: Page): Promise<string> {
  return page.evaluate(() => JSON.parse(sessionStorage.getItem("tokens")!).access_token);
}

/** By the keyboard. */
export async function press(control: Locator, key = "Enter"): Promise<void> {
  await control.focus();
  await control.press(key);
}

/** Waits until no request is in progress. */
export async function settled(page: Page): Promise<void> {
  await page.locator("[aria-busy=true]").first().waitFor({ state: "detached" });
}

/** The focused element, as text. */
export function focused(page: Page): Promise<string> {
  return page.evaluate(() => {
    // deno-lint-ignore no-explicit-any -- this runs in the browser
    const one = (globalThis as any).document.activeElement;
    return `${one.localName} ${one.id || one.getAttribute("aria-label") || one.textContent.trim().slice(0, 30)}`.trim();
  });
}

/** Whether the element is completely inside the window. */
export function inView(place: Locator): Promise<boolean> {
  // deno-lint-ignore no-explicit-any -- an element of the page
  return place.evaluate((element: any) => {
    const { top, bottom, height } = element.getBoundingClientRect();
    return height > 0 && top >= 0 && bottom <= element.ownerDocument.defaultView.innerHeight;
  });
}

/** A picture of the whole page, where the variable SCREENSHOTS names a folder for it. */
export async function shot(page: Page, name: string): Promise<void> {
  const folder = Deno.env.get("SCREENSHOTS");
  if (folder) await page.screenshot({ path: `${folder}/${name}.png`, fullPage: true });
}

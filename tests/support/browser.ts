import { type Browser, type BrowserContext, chromium, type Page } from "../packages/playwright.ts";
import { endOfBatch, isInBatch, whenBatchEnds } from "./batch.ts";

const PLACES = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/** The path of an installed Chromium, or undefined. In CI its absence is a failure. */
function chromiumPath(): string | undefined {
  const found = PLACES.find((path) => {
    try {
      return Deno.statSync(path).isFile;
    } catch {
      return false;
    }
  });
  if (!found && Deno.env.get("CI") === "true") throw new Error(`No Chromium at ${PLACES.join(", ")}`);
  return found;
}

/** The browser of one test: its windows share nothing with other tests and are closed after it. */
export type TestBrowser = Pick<Browser, "newPage" | "newContext"> & AsyncDisposable;

const executable = chromiumPath();
let shared: Promise<Browser> | undefined;

/** A test in a browser, skipped without one. Playwright keeps a connection to the browser between steps. */
export function browserTest(name: string, fn: (browser: TestBrowser) => Promise<void>): void {
  const options = { ignore: executable === undefined, sanitizeOps: false, sanitizeResources: false };
  if (!isInBatch()) Deno.test.afterAll(endOfBatch);
  Deno.test(name, options, async () => {
    await using browser = windowsOf(await (shared ??= launchShared()));
    await fn(browser);
  });
}

/** One browser for all tests of a batch. Storage and cache belong to a context. */
async function launchShared(): Promise<Browser> {
  const browser = await launchChromium();
  whenBatchEnds(() => browser.close());
  return browser;
}

function windowsOf(browser: Browser): TestBrowser {
  const contexts: BrowserContext[] = [];
  const newContext: Browser["newContext"] = async (options) => {
    const context = await browser.newContext(options);
    contexts.push(context);
    return context;
  };
  return {
    newContext,
    newPage: async (options) => await (await newContext(options)).newPage(),
    async [Symbol.asyncDispose]() {
      for (const context of contexts) await context.close();
    },
  };
}

/**
 * Headless, without requests to other servers. `keepPages` enables the back/forward cache.
 */
export function launchChromium({ keepPages = false } = {}): Promise<Browser> {
  return chromium.launch({
    executablePath: executable!,
    ...(keepPages && { ignoreDefaultArgs: ["--disable-back-forward-cache"] }),
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}

/** Errors on the page, and requests to origins other than `origin`. */
export function watch(page: Page, origin: string): string[] {
  const complaints: string[] = [];
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("console", (message) => {
    if (message.type() === "error") complaints.push(message.text());
  });
  page.on("request", (request) => {
    const url = request.url();
    if (!url.startsWith(origin) && !url.startsWith("data:") && !url.startsWith("blob:")) {
      complaints.push(`asked ${url}`);
    }
  });
  return complaints;
}

/**
 * `page.route()` for an open page, in force when it returns. Playwright's own function returns when the browser has the
 * route. The page's process may get it after the next key or click, whose request then goes to the server.
 */
export async function intercept(page: Page, ...route: Parameters<Page["route"]>): Promise<void> {
  await page.route(...route);
  const probe = `/intercepted/${crypto.randomUUID()}`;
  let inForce = false;
  await page.route(`**${probe}`, (route) => {
    inForce = true;
    return route.fulfill({ status: 204 });
  });
  while (!inForce) await page.evaluate((path) => fetch(path).then(() => {}, () => {}), probe);
  await page.unroute(`**${probe}`);
}

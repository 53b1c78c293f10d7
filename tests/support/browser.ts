import { type Browser, type BrowserContext, chromium, type Page } from "../packages/playwright.ts";
import { endOfBatch, isInBatch, whenBatchEnds } from "./batch.ts";

const PLACES = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/** Where a Chromium is installed; undefined where there is none. In CI that is a failure, never a skip. */
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

/** A browser as one test has it: windows that share nothing with those of other tests, closed with it. */
export type TestBrowser = Pick<Browser, "newPage" | "newContext"> & AsyncDisposable;

const executable = chromiumPath();
let shared: Promise<Browser> | undefined;

/** A test in a browser, left out where there is none. Playwright keeps a connection to the browser between steps. */
export function browserTest(name: string, fn: (browser: TestBrowser) => Promise<void>): void {
  const options = { ignore: executable === undefined, sanitizeOps: false, sanitizeResources: false };
  if (!isInBatch()) Deno.test.afterAll(endOfBatch);
  Deno.test(name, options, async () => {
    await using browser = windowsOf(await (shared ??= launchShared()));
    await fn(browser);
  });
}

/** One for all tests of a batch: what a page stores and caches is its context's. */
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
 * Headless, alone, and talking to nobody but the page's own server; `keepPages`: as in daily use, for Back (bfcache).
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

/** Errors on the page, and requests to anywhere but `origin`. */
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
 * `page.route()` for a page that is open already, in force when it returns. Playwright's own returns when the browser
 * knows of it; the page's process may hear of it after the next key or click, whose request then goes to the server.
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

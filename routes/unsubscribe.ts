import type { Context } from "hono";
import type { AppContext } from "../context.ts";
import { AppError } from "../lib/errors.ts";
import { unsubscriber } from "../jobs/email/unsubscribe.ts";
import { addressOf, type Api } from "./http/endpoint.ts";
import { currentRequestId } from "../lib/request_context.ts";
import { problem } from "../contract/problem.ts";
import { escape, layout, page } from "./web.ts";

const BAD_LINK = "The link is invalid";
const SETTINGS = `<a href="/">sign in</a> and change the notification settings`;
const QUESTION = `<p>Stop all emails about new posts on pages you follow?</p>
<p>You will still get emails about the security of your account.</p>
<form method="post"><button>Unsubscribe</button></form>
<p class="hint">To get one email a day instead, ${SETTINGS}.</p>`;
const DONE = `<p>You will still get emails about the security of your account.</p>
<p>To subscribe again, ${SETTINGS}.</p>`;
const COPY_IT = `<p>It may be incomplete. Copy the whole link from the email and try again.</p>
<p>To unsubscribe without the link, ${SETTINGS}.</p>`;

/** Unsubscribes the token's account from emails about posts. Throws `validation` for a foreign token. */
export async function unsubscribe({ ctx, limiter }: Api, token: string, address: string): Promise<void> {
  const owner = unsubscriber(ctx.secret, token);
  // A mail service requests for many people from one address, so a valid token counts for its account.
  await limiter.check("unsubscribe", owner === undefined ? `address ${address}` : `account ${owner}`);
  const id = ownerOf(ctx, token);
  try {
    await ctx.actors.ask("user", id, "change_notifications", { letters: "never", mute: [], unmute: [] });
  } catch (error) {
    // A deleted account gets no emails either.
    if (!(error instanceof AppError && error.code === "not-found")) throw error;
  }
}

function ownerOf({ secret }: AppContext, token: string): string {
  const id = unsubscriber(secret, token);
  if (id !== undefined) return id;
  throw new AppError("validation", BAD_LINK, {
    errors: [{ path: "token", rule: "foreign", message: "Expected the complete token from the link in the email" }],
  });
}

/**
 * The page that emails about posts link to. GET changes nothing, because scanners follow every link in an email. The
 * button works without script. The token stays in the address and is not in the page.
 */
export function unsubscribePage(api: Api): void {
  const { app, ctx } = api;
  app.get("/unsubscribe", (c) =>
    answered(api, c, (token) => {
      ownerOf(ctx, token);
      return layout("Unsubscribe from emails about posts?", QUESTION);
    }));
  app.post("/unsubscribe", (c) =>
    answered(api, c, async (token) => {
      // The body is ignored.
      await unsubscribe(api, token, addressOf(c));
      return layout("You have unsubscribed from emails about posts", DONE);
    }));
}

/** Shows the API's problems as pages. */
async function answered(
  { ctx, limiter }: Api,
  c: Context,
  work: (token: string) => string | Promise<string>,
): Promise<Response> {
  try {
    if (ctx.starting) throw new AppError("draining", undefined, { retryAfter: 1 });
    await limiter.check("general_address", addressOf(c));
    return page(await work(c.req.query("token") ?? ""));
  } catch (error) {
    if (error instanceof AppError && error.code === "validation") {
      return page(layout(BAD_LINK, COPY_IT), { status: error.status });
    }
    const { config: { PUBLIC_URL: publicUrl = "" }, log } = ctx;
    const refusal = problem(error, { instance: c.req.path, requestId: currentRequestId(), publicUrl, log });
    return await inWords(refusal);
  }
}

async function inWords(refusal: Response): Promise<Response> {
  const { title, request_id } = await refusal.json() as { title: string; request_id: string };
  const again = `<p>Try again in a moment. You can safely press the button twice.</p>`;
  const reference = `<p class="hint">If the problem persists, tell the operator <code>${
    escape(request_id)
  }</code>.</p>`;
  const response = page(layout(title, again + reference), { status: refusal.status });
  for (const name of ["retry-after", "x-request-id"]) {
    const value = refusal.headers.get(name);
    if (value !== null) response.headers.set(name, value);
  }
  return response;
}

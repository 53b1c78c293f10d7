import type { Context } from "hono";
import type { AppContext } from "../context.ts";
import { AppError } from "../lib/errors.ts";
import { unsubscriber } from "../jobs/email/unsubscribe.ts";
import { addressOf, type Api } from "./http/endpoint.ts";
import { newRequestId } from "../contract/request_id.ts";
import { problem } from "../contract/problem.ts";
import { escape, layout, page } from "./web.ts";

const BAD_LINK = "This link is not one of this installation";
const BELL = `<a href="/">Sign in</a>, open the bell and choose under “Settings” when letters come`;
const QUESTION =
  `<p>Letters tell you of new posts on the pages you follow. Press the button, and none of them will come any more.</p>
<p>Letters about the security of your account, such as codes, still come.</p>
<form method="post"><button>No more of these letters</button></form>
<p class="hint">Rather one letter a day? ${BELL}.</p>`;
const DONE = `<p>Letters about the security of your account, such as codes, still come.</p>
<p>To have the others back: ${BELL}.</p>`;
const COPY_IT = `<p>It may have been cut short on its way: copy it from the letter once more, whole.</p>
<p>Or do it without the link: ${BELL}.</p>`;

/** Ends the letters about posts of whom the token was made for. Throws `validation` where it was not made here. */
export async function endLetters({ ctx, limiter }: Api, token: string, address: string): Promise<void> {
  const owner = unsubscriber(ctx.secret, token);
  // A mail service asks for many people from one address, so a right token counts for its account.
  await limiter.check("unsubscribe", owner === undefined ? `address ${address}` : `account ${owner}`);
  const id = ownerOf(ctx, token);
  try {
    await ctx.actors.ask("user", id, "change_notifications", { letters: "never", mute: [], unmute: [] });
  } catch (error) {
    // An account that is gone gets none either.
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
 * The page that letters about posts link to. Looking at it changes nothing, since whoever checks letters follows every link; its
 * button does, without script. The token stays in the address and is nowhere in the page.
 */
export function unsubscribePage(api: Api): void {
  const { app, ctx } = api;
  app.get("/unsubscribe", (c) =>
    answered(api, c, (token) => {
      ownerOf(ctx, token);
      return layout("No more letters about posts?", QUESTION);
    }));
  app.post("/unsubscribe", (c) =>
    answered(api, c, async (token) => {
      // A body, whatever it is, is left unread.
      await endLetters(api, token, addressOf(c));
      return layout("No more letters about posts will come to you", DONE);
    }));
}

/** Refusals are those of the API, said in words to a person. */
async function answered(
  { ctx, limiter }: Api,
  c: Context,
  work: (token: string) => string | Promise<string>,
): Promise<Response> {
  try {
    if (ctx.draining) throw new AppError("draining", undefined, { retryAfter: 1 });
    await limiter.check("general_address", addressOf(c));
    return page(await work(c.req.query("token") ?? ""));
  } catch (error) {
    if (error instanceof AppError && error.code === "validation") {
      return page(layout(BAD_LINK, COPY_IT), { status: error.status });
    }
    const { config: { PUBLIC_URL: publicUrl = "" }, log } = ctx;
    const refusal = problem(error, { instance: c.req.path, requestId: newRequestId(), publicUrl, log });
    return await inWords(refusal);
  }
}

async function inWords(refusal: Response): Promise<Response> {
  const { title, request_id } = await refusal.json() as { title: string; request_id: string };
  const again = `<p>Try again in a moment; pressing twice does no harm.</p>`;
  const reference = `<p class="hint">Should it last, tell the operator <code>${escape(request_id)}</code>.</p>`;
  const response = page(layout(title, again + reference), { status: refusal.status });
  for (const name of ["retry-after", "x-request-id"]) {
    const value = refusal.headers.get(name);
    if (value !== null) response.headers.set(name, value);
  }
  return response;
}

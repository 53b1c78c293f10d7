import { z } from "zod";
import type { AppContext } from "../context.ts";
import { AppError } from "../lib/errors.ts";
import { refusalOf } from "../services/images/picture.ts";
import { READY_WITHIN_MS } from "../services/images/photo_readiness.ts";
import type { Caller } from "../actors/account_cache.ts";
import { answer } from "./http/answer.ts";
import { type Api, endpoint } from "./http/endpoint.ts";
import type { Received, UploadRules } from "./http/uploads.ts";
import { ownPage, pageId, pageParams, shownPage } from "./pages.ts";
import * as schemas from "../contract/schemas.ts";

const body = z.strictObject({
  name: z.string().min(1).max(200),
  data: z.string().meta({ description: "Base64", contentEncoding: "base64" }),
});
const uploads: UploadRules = {
  files: "file",
  mostFiles: 1,
  fields: {},
  value: (_, files) => files[0] ?? {},
};
const userParams = z.object({ id: schemas.id });

export function avatarRoutes(api: Api): void {
  userAvatarRoutes(api);
  pageAvatarRoutes(api);
}

function userAvatarRoutes(api: Api): void {
  endpoint(api, {
    method: "put",
    path: "/users/{id}/avatar",
    access: "signed-in",
    summary: "Upload a person's picture; the old one stays until the new one is ready",
    tags: ["Accounts"],
    params: userParams,
    body,
    uploads,
    before: ({ caller, params }) => Promise.resolve(ownProfile(caller, params.id)),
    answers: {
      200: { description: "The account", schema: schemas.Account },
      202: { description: "The account; its new picture is not ready yet", schema: schemas.Account },
    },
  }, async ({ ctx, caller, params: { id }, body, received }) => {
    ownProfile(caller, id);
    const done = await changed(ctx, received!, body, async (photo) => {
      await ctx.actors.ask("user", id, "stage_avatar", { by: caller, photo });
    });
    return answer(done ? 200 : 202, await ctx.actors.ask("user", id, "account"));
  });

  endpoint(api, {
    method: "delete",
    path: "/users/{id}/avatar",
    access: "signed-in",
    summary: "Remove a person's picture",
    tags: ["Accounts"],
    params: userParams,
    answers: { 200: { description: "The account", schema: schemas.Account } },
  }, async ({ ctx, caller, params: { id } }) => {
    ownProfile(caller, id);
    return answer(200, await ctx.actors.ask("user", id, "remove_avatar", { by: caller }));
  });
}

function pageAvatarRoutes(api: Api): void {
  endpoint(api, {
    method: "put",
    path: "/pages/{id}/avatar",
    access: "verified",
    summary: "Upload a page's picture; the old one stays until the new one is ready",
    tags: ["Pages"],
    params: pageParams,
    body,
    uploads,
    before: ({ ctx, caller, params }) => ownPage(ctx, caller, params.id),
    answers: {
      200: { description: "The page", schema: schemas.Page },
      202: { description: "The page; its new picture is not ready yet", schema: schemas.Page },
    },
  }, async ({ ctx, caller, params, body, received }) => {
    const id = await pageId(ctx, params.id);
    const done = await changed(ctx, received!, body, async (photo) => {
      await ctx.actors.ask("page", id, "stage_avatar", { by: caller, photo });
    });
    return answer(done ? 200 : 202, await shownPage(ctx, caller, id));
  });

  endpoint(api, {
    method: "delete",
    path: "/pages/{id}/avatar",
    access: "verified",
    summary: "Remove a page's picture",
    tags: ["Pages"],
    params: pageParams,
    answers: { 200: { description: "The page", schema: schemas.Page } },
  }, async ({ ctx, caller, params }) => {
    const id = await pageId(ctx, params.id);
    await ctx.actors.ask("page", id, "remove_avatar", { by: caller });
    return answer(200, await shownPage(ctx, caller, id));
  });
}

/** Stages the picture and waits briefly for the result; false if it is not ready in time. Throws `photo-unreadable`. */
async function changed(
  ctx: AppContext,
  received: Received,
  upload: { name: string; data: string },
  stage: (photo: Awaited<ReturnType<Received["photos"]>>[number]) => Promise<void>,
): Promise<boolean> {
  const [photo] = await received.photos([upload]);
  await stage(photo!);
  const { done, failed: [failed] } = await ctx.photos.waiting.until([photo!.id], READY_WITHIN_MS);
  if (!failed) return done;
  const refusal = refusalOf(failed.problem);
  const detail = `The photo could not be read: ${failed.problem}`;
  throw new AppError("photo-unreadable", detail, refusal && { errors: [{ path: received.pathOf(0), ...refusal }] });
}

function ownProfile(caller: Caller, id: string): void {
  if (caller.id !== id && caller.role !== "admin") {
    throw new AppError("forbidden", "Only the owner or an administrator can change a profile");
  }
}

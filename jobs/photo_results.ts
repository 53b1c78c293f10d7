import type { Actors } from "../actors/actors.ts";
import type { Sql } from "../db/sql.ts";
import type { PhotoReadiness } from "../services/images/photo_readiness.ts";
import { disownFiles, filesOf } from "../db/files.ts";
import { ownerOfPhoto, PHOTO_RESULT_JOB, type PhotoResult } from "../db/photos.ts";
import { AppError } from "../lib/errors.ts";
import type { JobKind } from "./kind.ts";
import { JOB_KINDS } from "./kinds.ts";

/** Reports the result of a crop to the actor of the photo. */
export function photoResultJobs(ctx: { sql: Sql; actors: Actors; readiness: PhotoReadiness }): Record<string, JobKind> {
  return {
    [PHOTO_RESULT_JOB]: {
      ...JOB_KINDS[PHOTO_RESULT_JOB],
      run: async ({ id, payload }) => {
        const { staged, key, result } = payload as { staged: string; key: string; result: PhotoResult };
        const owner = await ownerOfPhoto(ctx.sql, id);
        try {
          if (owner?.kind === "user") {
            await ctx.actors.ask("user", owner.user_id!, "store_avatar_result", { photo: result });
          } else if (owner?.page_id) {
            const name = owner.kind === "post" ? "store_photo_result" : "store_avatar_result";
            await ctx.actors.ask("page", owner.page_id, name, { photo: result });
          }
        } catch (error) {
          if (!(error instanceof AppError && error.code === "not-found")) throw error;
        }
        // The photo may have been deleted while it was cropped. Then nothing owns these files.
        if (!await ownerOfPhoto(ctx.sql, id)) await disownFiles(ctx.sql, filesOf(key, staged));
        ctx.readiness.changed();
      },
    },
  };
}

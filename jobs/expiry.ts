import type { Actors } from "../actors/runtime/actors.ts";
import { AppError } from "../lib/errors.ts";
import type { JobKind } from "./runner.ts";

/** What happens because a time has come. The actors judge whether it is still so; they are told until they have heard. */
export function expiryJobs(
  actors: Actors,
  { verifiedOnly }: { verifiedOnly: boolean },
): Record<string, JobKind> {
  const ask = (kind: "user" | "page", type: string, applies = true): JobKind => ({
    maxTries: Infinity,
    run: async ({ payload }) => {
      if (!applies) return;
      try {
        await actors.ask({ kind, id: String(payload[`${kind}_id`]) }, { type });
      } catch (error) {
        // Gone meanwhile: nothing is left to do.
        if (!(error instanceof AppError && error.code === "not-found")) throw error;
      }
    },
  });
  return {
    "user.expire": ask("user", "expire", verifiedOnly),
    "user.block_lapsed": ask("user", "expire_block"),
    "page.block_lapsed": ask("page", "expire_block"),
  };
}

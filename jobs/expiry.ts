import type { Actors } from "../actors/actors.ts";
import { AppError } from "../lib/errors.ts";
import type { JobKind } from "./kind.ts";

/** What happens because a time has come. The actors judge whether it is still so; they are told until they have heard. */
export function expiryJobs(
  actors: Actors,
  { verifiedOnly }: { verifiedOnly: boolean },
): Record<string, JobKind> {
  const kind = (ask: (payload: Record<string, unknown>) => Promise<unknown>): JobKind => ({
    maxTries: Infinity,
    run: async ({ payload }) => {
      try {
        await ask(payload);
      } catch (error) {
        // Gone meanwhile: nothing is left to do.
        if (!(error instanceof AppError && error.code === "not-found")) throw error;
      }
    },
  });
  return {
    "user.expire": kind(async ({ user_id }) => verifiedOnly && await actors.ask("user", String(user_id), "expire")),
    "user.block_lapsed": kind(({ user_id }) => actors.ask("user", String(user_id), "expire_block")),
    "page.block_lapsed": kind(({ page_id }) => actors.ask("page", String(page_id), "expire_block")),
  };
}

import type { Actors } from "../actors/actors.ts";
import { AppError } from "../lib/errors.ts";
import type { JobKind } from "./kind.ts";
import { JOB_KINDS } from "./kinds.ts";

/**
 * Jobs that expire things. The actors decide whether the time has come; jobs are retried until an actor has answered.
 */
export function expiryJobs(
  actors: Actors,
  { verifiedOnly }: { verifiedOnly: boolean },
): Record<string, JobKind> {
  const kind = (
    name: "user.expire" | "user.block_lapsed" | "page.block_lapsed",
    ask: (payload: Record<string, unknown>) => Promise<unknown>,
  ): Record<string, JobKind> => ({
    [name]: {
      ...JOB_KINDS[name],
      run: async ({ payload }) => {
        try {
          await ask(payload);
        } catch (error) {
          // It was deleted meanwhile.
          if (!(error instanceof AppError && error.code === "not-found")) throw error;
        }
      },
    },
  });
  return {
    ...kind("user.expire", async ({ user_id }) => verifiedOnly && await actors.ask("user", String(user_id), "expire")),
    ...kind("user.block_lapsed", ({ user_id }) => actors.ask("user", String(user_id), "expire_block")),
    ...kind("page.block_lapsed", ({ page_id }) => actors.ask("page", String(page_id), "expire_block")),
  };
}

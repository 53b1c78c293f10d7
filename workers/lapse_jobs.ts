import type { AppContext } from "../context.ts";
import { AppError } from "../errors.ts";
import type { JobHandler } from "./job_runner.ts";

/** What happens because a time has come. The actors judge whether it is still so. */
export function lapseJobs(ctx: AppContext): Record<string, JobHandler> {
  const ask = (kind: "user" | "page", type: string): JobHandler => async ({ payload }) => {
    const id = String(payload[`${kind}_id`]);
    try {
      await ctx.actors.ask({ kind, id }, { type });
    } catch (error) {
      // Gone meanwhile: nothing is left to do.
      if (!(error instanceof AppError && error.code === "not-found")) throw error;
    }
  };
  const expire = ask("user", "expire");
  return {
    "user.expire": async (job) => {
      if (ctx.config.REQUIRE_VERIFIED_EMAIL) await expire(job);
    },
    "user.block_lapsed": ask("user", "lapse_block"),
    "page.block_lapsed": ask("page", "lapse_block"),
  };
}

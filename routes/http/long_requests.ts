import { AppError } from "../../lib/errors.ts";
import { Semaphore, type SemaphoreLimit, type SemaphoreOptions } from "../../lib/semaphore.ts";

/**
 * Places for requests with long bodies. The `overloaded` problem says whether the caller's own requests are too many.
 */
export function longRequests(limits: Required<Omit<SemaphoreOptions, "refusal">>): Semaphore {
  return new Semaphore({ ...limits, refusal });
}

function refusal(limit: SemaphoreLimit): AppError {
  const detail = limit === "key"
    ? "Some of your long requests are still in progress"
    : "Too many long requests are in progress";
  return new AppError("overloaded", detail, { retryAfter: 2 });
}

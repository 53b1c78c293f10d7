import { AppError, type FieldError, type ProblemCode, PROBLEMS } from "../../lib/errors.ts";
import type { Period } from "./period.ts";

/** How long the service has for an answer, all of it (`docs/limits.md`). */
const ANSWER_MS = 5_000;
const RETRY_AFTER_S = 2;

interface Problem {
  type?: string;
  detail?: string;
  errors?: FieldError[];
}

/** The statistics service as the API sees it. */
export class StatsClient implements Disposable {
  readonly #http = Deno.createHttpClient({});

  /** Where the service is, once that is known; undefined where there is none. */
  constructor(private readonly url: () => Promise<string | undefined>) {}

  /**
   * The answer's JSON, for whoever the header speaks for. It is read to its end, so that a service that dies over it is a 503 and not
   * half an answer. Throws what the service refuses, or `stats-unavailable`.
   */
  async pageStats(pageId: string, { from, to }: Period, authorization: string): Promise<string> {
    const signal = AbortSignal.timeout(ANSWER_MS);
    const gone = new Promise<never>((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    let answer: { status: number; text: string };
    try {
      const url = await Promise.race([this.url(), gone]);
      if (url === undefined) throw new Error("There is no statistics service");
      const headers = { authorization };
      const address = `${url}/pages/${pageId}/stats?from=${from}&to=${to}`;
      const response = await fetch(address, { headers, signal, client: this.#http, redirect: "manual" });
      answer = { status: response.status, text: await response.text() };
    } catch (cause) {
      throw new AppError("stats-unavailable", undefined, { retryAfter: RETRY_AFTER_S, cause });
    }
    if (answer.status === 200) return answer.text;
    throw refusal(answer);
  }

  [Symbol.dispose](): void {
    this.#http.close();
  }
}

/** What the caller did wrong they hear; anything else is the service's trouble. */
function refusal({ status, text }: { status: number; text: string }): AppError {
  let problem: Problem = {};
  try {
    problem = JSON.parse(text) as Problem;
  } catch {
    // Not the service that answers there.
  }
  const code = problem.type?.split("/").at(-1) ?? "";
  if (status >= 500 || !Object.hasOwn(PROBLEMS, code)) {
    return new AppError("stats-unavailable", undefined, { retryAfter: RETRY_AFTER_S });
  }
  return new AppError(code as ProblemCode, problem.detail, problem.errors ? { errors: problem.errors } : {});
}

import { AppError, type FieldError, type ProblemCode, PROBLEMS } from "../../lib/errors.ts";
import { outgoingHeaders } from "../../lib/tracing.ts";
import type { Period } from "./period.ts";

/** Time for a complete answer of the service (`docs/limits.md`). */
const ANSWER_MS = 5_000;
const RETRY_AFTER_S = 2;

interface Problem {
  type?: string;
  detail?: string;
  errors?: FieldError[];
}

/** The statistics service, as the API calls it. */
export class StatsClient implements Disposable {
  readonly #http = Deno.createHttpClient({});

  /** Resolves to the address of the service; undefined if there is none. */
  constructor(private readonly url: () => Promise<string | undefined>) {}

  /**
   * The JSON of the answer, for the caller in the header. It is read to its end, so that a service that fails in
   * between is a 503 and not half an answer. Throws the refusal of the service, or `stats-unavailable`.
   */
  async pageStats(pageId: string, { from, to }: Period, authorization: string): Promise<string> {
    const signal = AbortSignal.timeout(ANSWER_MS);
    const gone = new Promise<never>((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    let answer: { status: number; text: string };
    try {
      const url = await Promise.race([this.url(), gone]);
      if (url === undefined) throw new Error("The statistics service is not configured");
      const headers = { ...outgoingHeaders(), authorization };
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

/** Errors of the caller are passed on; anything else is a failure of the service. */
function refusal({ status, text }: { status: number; text: string }): AppError {
  let problem: Problem = {};
  try {
    problem = JSON.parse(text) as Problem;
  } catch {
    // Something else answers there.
  }
  const code = problem.type?.split("/").at(-1) ?? "";
  if (status >= 500 || !Object.hasOwn(PROBLEMS, code)) {
    return new AppError("stats-unavailable", undefined, { retryAfter: RETRY_AFTER_S });
  }
  return new AppError(code as ProblemCode, problem.detail, problem.errors ? { errors: problem.errors } : {});
}

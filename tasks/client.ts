import { backoff } from "../lib/backoff.ts";
import { sleep } from "../lib/sleep.ts";

/** The HTTP client of tasks: retries as the server asks, refreshes its tokens, throws problems. */
export class Problem extends Error {
  override readonly name = "Problem";
  constructor(readonly status: number, readonly slug: string, message: string, readonly retryAfterS?: number) {
    super(message);
  }
}

/** The server did not answer. */
export class Unreachable extends Error {
  override readonly name = "Unreachable";
}

export interface TokenPair {
  access_token: string;
  /** Absent if the user gave an access token, which cannot be refreshed. */
  refresh_token?: string;
}

interface Options {
  /** Called before each wait, with the seconds and the reason. */
  onWait?: (seconds: number, why: string) => void;
  /** Attempts at one call that is rejected for now (429, 503) or unreachable. */
  attempts?: number;
}

const TIMEOUT_MS = 30_000;

export class Client {
  #tokens: TokenPair | undefined;
  #refreshing: Promise<void> | undefined;

  constructor(readonly base: string, private readonly options: Options = {}, tokens?: TokenPair) {
    this.#tokens = tokens;
  }

  /** Signs in, which ends the account's earlier session. */
  async signIn(login: string, password: string): Promise<void> {
    this.#tokens = undefined;
    this.#tokens = await this.call<TokenPair>("POST", "/security/login", { login, password });
  }

  get canRefresh(): boolean {
    return this.#tokens?.refresh_token !== undefined;
  }

  /** Concurrent callers share one refresh. */
  refresh(): Promise<void> {
    const refresh_token = this.#tokens?.refresh_token;
    this.#refreshing ??= (async () => {
      const body = JSON.stringify({ refresh_token });
      this.#tokens = parse(await this.#send("POST", "/security/refresh", body, "", undefined)) as TokenPair;
    })().finally(() => this.#refreshing = undefined);
    return this.#refreshing;
  }

  /** Throws `Problem` or `Unreachable`. `key` is the `Idempotency-Key`: with it a call can be repeated safely. */
  async call<T>(method: string, path: string, body?: unknown, key?: string): Promise<T> {
    const text = await this.callText(method, path, body === undefined ? undefined : JSON.stringify(body), key);
    return (text === "" ? undefined : parse(text)) as T;
  }

  /** The same with raw JSON, because parsing would round large numbers. */
  async callText(method: string, path: string, body?: string, key: string = crypto.randomUUID()): Promise<string> {
    for (let attempt = 1;; attempt++) {
      const used = this.#tokens;
      try {
        return await this.#send(method, path, body, key, used?.access_token);
      } catch (error) {
        if (error instanceof Problem && error.slug === "token-expired" && this.canRefresh) {
          // Another call may have refreshed in the meantime.
          if (used === this.#tokens) await this.refresh();
          continue;
        }
        const pause = pauseMs(error, attempt);
        if (pause === undefined || attempt >= (this.options.attempts ?? 1)) throw error;
        this.options.onWait?.(pause / 1_000, error instanceof Problem ? error.message : "the server does not answer");
        await sleep(pause);
      }
    }
  }

  async #send(
    method: string,
    path: string,
    body: string | undefined,
    key: string,
    token: string | undefined,
  ): Promise<string> {
    let response: Response;
    try {
      response = await fetch(`${this.base}/api/v1${path}`, {
        method,
        headers: {
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
          ...(body === undefined ? {} : { "content-type": "application/json" }),
          ...(method === "POST" && key !== "" ? { "idempotency-key": key } : {}),
        },
        ...(body === undefined ? {} : { body }),
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
    } catch (cause) {
      throw new Unreachable(`No answer from ${this.base}`, { cause });
    }
    const text = await response.text().catch((cause) => {
      throw new Unreachable(`The response of ${this.base} ended early`, { cause });
    });
    if (response.ok) return text;
    const { type, title, detail, errors } = parse(text) as Record<string, unknown>;
    const fields = (Array.isArray(errors) ? errors : []).map(({ path, message }) => `${path}: ${message}`);
    const retryAfter = Number(response.headers.get("retry-after") ?? NaN);
    throw new Problem(
      response.status,
      String(type ?? "").split(/[/#]/).at(-1)!,
      [detail ?? title ?? `${method} ${path} returned ${response.status}`, ...fields].join("; "),
      ...(Number.isFinite(retryAfter) ? [retryAfter] : []),
    );
  }
}

const UNREACHABLE_BACKOFF = backoff({ firstMs: 500, maxMs: 15_000 });

/** Milliseconds before the next attempt; undefined if there is none. A proxy returns 502 if a node dies. */
function pauseMs(error: unknown, attempt: number): number | undefined {
  if (error instanceof Unreachable) return UNREACHABLE_BACKOFF(attempt);
  if (!(error instanceof Problem)) return undefined;
  // The earlier attempt may have been at a node that died, which holds the key until its lease ends.
  if (![429, 502, 503, 504].includes(error.status) && error.slug !== "idempotency-key-running") return undefined;
  // Random, because callers that wait together would be rejected together again.
  return ((error.retryAfterS ?? 1) + Math.random()) * 1_000;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}

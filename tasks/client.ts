import { backoff } from "../lib/backoff.ts";
import { sleep } from "../lib/sleep.ts";

/** Speaks the HTTP contract for a task: waits when told to, refreshes its own tokens, turns problems into exceptions. */
export class Problem extends Error {
  override readonly name = "Problem";
  constructor(readonly status: number, readonly slug: string, message: string, readonly retryAfterS?: number) {
    super(message);
  }
}

/** The server did not answer at all. */
export class Unreachable extends Error {
  override readonly name = "Unreachable";
}

export interface TokenPair {
  access_token: string;
  /** Absent where the person gave an access token: then nothing can be refreshed. */
  refresh_token?: string;
}

interface Options {
  /** Told before each wait, with seconds and why. */
  onWait?: (seconds: number, why: string) => void;
  /** Attempts at one call that is refused for now (429, 503) or unreachable. */
  attempts?: number;
}

const TIMEOUT_MS = 30_000;

export class Client {
  #tokens: TokenPair | undefined;
  #refreshing: Promise<void> | undefined;

  constructor(readonly base: string, private readonly options: Options = {}, tokens?: TokenPair) {
    this.#tokens = tokens;
  }

  /** Signs in; the account's earlier session ends by that. */
  async signIn(login: string, password: string): Promise<void> {
    this.#tokens = undefined;
    this.#tokens = await this.call<TokenPair>("POST", "/security/login", { login, password });
  }

  get canRefresh(): boolean {
    return this.#tokens?.refresh_token !== undefined;
  }

  /** Many callers at once make one refresh. */
  refresh(): Promise<void> {
    const refresh_token = this.#tokens?.refresh_token;
    this.#refreshing ??= (async () => {
      const body = JSON.stringify({ refresh_token });
      this.#tokens = parse(await this.#send("POST", "/security/refresh", body, "", undefined)) as TokenPair;
    })().finally(() => this.#refreshing = undefined);
    return this.#refreshing;
  }

  /** Throws `Problem` or `Unreachable`. `key` is the `Idempotency-Key`: with it a lost answer costs nothing. */
  async call<T>(method: string, path: string, body?: unknown, key?: string): Promise<T> {
    const text = await this.callText(method, path, body === undefined ? undefined : JSON.stringify(body), key);
    return (text === "" ? undefined : parse(text)) as T;
  }

  /** The same with the JSON of body and answer as it is written, which parsing would round. */
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
      throw new Unreachable(`The answer of ${this.base} broke off`, { cause });
    });
    if (response.ok) return text;
    const { type, title, detail, errors } = parse(text) as Record<string, unknown>;
    const fields = (Array.isArray(errors) ? errors : []).map(({ path, message }) => `${path}: ${message}`);
    const retryAfter = Number(response.headers.get("retry-after") ?? NaN);
    throw new Problem(
      response.status,
      String(type ?? "").split(/[/#]/).at(-1)!,
      [detail ?? title ?? `${method} ${path} was answered by ${response.status}`, ...fields].join("; "),
      ...(Number.isFinite(retryAfter) ? [retryAfter] : []),
    );
  }
}

const UNREACHABLE_BACKOFF = backoff({ firstMs: 500, maxMs: 15_000 });

/** Milliseconds until another attempt makes sense; undefined where none does. */
function pauseMs(error: unknown, attempt: number): number | undefined {
  if (error instanceof Unreachable) return UNREACHABLE_BACKOFF(attempt);
  if (!(error instanceof Problem) || ![429, 503, 504].includes(error.status)) return undefined;
  // Not all at the same moment: whoever waited together would be refused together.
  return ((error.retryAfterS ?? 1) + Math.random()) * 1_000;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}

import { Breaker, type BreakerOptions } from "./breaker.ts";
import { type CaptchaAnswer, failureOf, unreachable, type VkFailure, type VkResult } from "./errors.ts";
import { type Answered, type BareCall, Bundler, MAX_CALLS, type Prepared, type Sender } from "./execute.ts";
import type { VkLang } from "./lang.ts";
import { type CallLimiter, TooBusy } from "./limiter.ts";
import { type Call, users, utils, video, wall } from "./methods.ts";
import { checkMethod, formOf, onlyLooks, plainParams, type VkParams } from "./params.ts";
import { repeated, type RetryOptions } from "./retry.ts";
import type { VkToken } from "./token.ts";
import { Transport, Unreachable } from "./transport.ts";

export interface VkClientOptions {
  /** The address of VK, without `/method`. */
  url: string;
  limiter: CallLimiter;
  /** A keyed hash by which a token is counted. The token itself is not kept. */
  holderOf: (token: VkToken) => string;
  /** Default language of names; without it VK transliterates them. */
  lang?: VkLang;
  retry?: RetryOptions;
  breaker?: BreakerOptions;
  /** Timeout of one attempt, in milliseconds. */
  attemptMs?: number;
}

export interface CallOptions {
  /** The answer to a captcha. */
  captcha?: CaptchaAnswer | undefined;
  /** Whether the call may be repeated; by default decided by its name. */
  repeatable?: boolean;
  /** The deadline in milliseconds since 1970; by default in nine seconds. */
  deadline?: number;
}

interface Speaker {
  token: VkToken;
  holder: string;
  lang: VkLang | undefined;
}

type Results<C extends readonly Call<unknown>[]> = {
  [K in keyof C]: C[K] extends Call<infer T> ? VkResult<T> : never;
};

/** Timeouts of one attempt, and of a call with all attempts, queueing and pauses (`docs/limits.md`). */
const ATTEMPT_MS = 4_000;
const WITHIN_MS = 9_000;
/**
 * The minimum time of an attempt, however near the deadline: otherwise an attempt that starts late would count as a
 * failure of VK.
 */
const LEAST_MS = 1_000;
/**
 * After these refusals a method is paused for the token: its daily quota is used up (29), or calls were too similar
 * (9).
 */
const REST_MS = { quota: 30 * 60_000, flood: 60_000 } as const;
const LEFT_ALONE = unreachable("VK failed recently; calls are paused");
/** Tokens for which VK refuses `execute`. */
const MAX_ALONE = 10_000;

/** The client of VK's API: one limiter, one breaker and one pool of connections for all tokens. */
export class VkClient implements AsyncDisposable {
  readonly #transport: Transport;
  readonly #breaker: Breaker;
  readonly #alone = new Set<string>();

  constructor(private readonly options: VkClientOptions) {
    this.#transport = new Transport(options.url);
    this.#breaker = new Breaker(options.breaker);
  }

  /** The default language of names. */
  get lang(): VkLang | undefined {
    return this.options.lang;
  }

  /** The API for a token in a language. Calls that should share requests must use the same object. */
  as(token: VkToken, lang = this.options.lang): Vk {
    const holder = this.options.holderOf(token);
    const { limiter } = this.options;
    const [perform, alone] = [this.#perform.bind(this), this.#alone];
    return new Vk({
      token,
      perform: (prepare, deadline) => perform({ token, holder, lang }, prepare, deadline),
      rests: (method) => restOf(limiter, holder, method),
      refused: (method, failure) => restAfter(limiter, holder, method, failure),
      isAlone: () => alone.has(holder),
      leaveAlone: () => {
        if (alone.size >= MAX_ALONE) alone.clear();
        alone.add(holder);
      },
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#transport[Symbol.dispose]();
    await Promise.resolve();
  }

  async #perform(
    speaker: Speaker,
    prepare: () => Prepared,
    deadline: number,
  ): Promise<VkResult<Answered>> {
    let prepared: Prepared | undefined;
    return await repeated(
      () => prepared?.repeatable ?? true,
      () => this.#attempt(speaker, () => prepared ??= prepare(), deadline),
      deadline,
      this.options.retry,
    );
  }

  async #attempt(
    { token, holder, lang }: Speaker,
    prepare: () => Prepared,
    deadline: number,
  ): Promise<VkResult<Answered>> {
    const { limiter, attemptMs = ATTEMPT_MS } = this.options;
    if (this.#breaker.open) return failed(LEFT_ALONE);
    try {
      await limiter.take(holder, deadline);
    } catch (error) {
      if (!(error instanceof TooBusy)) throw error;
      return failed({ kind: "busy", code: 0, message: "Too many calls of one token wait for VK" });
    }
    const { method, params, repeatable, captcha } = prepare();
    const resting = await restOf(limiter, holder, method);
    if (resting) return failed(resting);
    // Other calls may have failed while this one waited.
    if (this.#breaker.open) return failed(LEFT_ALONE);
    try {
      const form = formOf({ lang, ...params, ...captcha });
      const timeoutMs = Math.min(attemptMs, Math.max(LEAST_MS, deadline - Date.now()));
      const envelope = await this.#breaker.run(() =>
        this.#transport.send({ method, form, token, repeatable }, timeoutMs)
      );
      if (!("error" in envelope)) return { ok: true, value: envelope };
      const failure = failureOf(envelope.error, token);
      await restAfter(limiter, holder, method, failure);
      return failed(failure);
    } catch (error) {
      if (error instanceof Unreachable) return failed(unreachable(error.message));
      throw error;
    }
  }
}

/** VK's API for the owner of one token. */
export class Vk {
  readonly users = { get: this.#bound(users.get) };
  readonly wall = { get: this.#bound(wall.get) };
  readonly video = { get: this.#bound(video.get) };
  readonly utils = {
    resolveScreenName: this.#bound(utils.resolveScreenName),
    getServerTime: this.#bound(utils.getServerTime),
  };
  readonly #bundler: Bundler;

  constructor(private readonly sender: Sender) {
    this.#bundler = new Bundler(sender);
  }

  /** Any method by name, declared here or not; the response is returned as is. */
  async call<T = unknown>(method: string, params: VkParams = {}, options: CallOptions = {}): Promise<VkResult<T>> {
    checkMethod(method);
    const { captcha, repeatable = onlyLooks(method), deadline = Date.now() + WITHIN_MS } = options;
    const result = await this.sender.perform(() => ({ method, params, repeatable, captcha }), deadline);
    return result.ok ? { ok: true, value: result.value.response as T } : result;
  }

  /** Declared calls, in as few requests as possible; each has its own result. */
  async bundle<const C extends readonly Call<unknown>[]>(
    calls: C,
    { captcha, deadline = Date.now() + WITHIN_MS }: Omit<CallOptions, "repeatable"> = {},
  ): Promise<Results<C>> {
    const bare = calls.map(checked);
    const resting = await Promise.all(bare.map(({ method }) => this.sender.rests(method)));
    const asked = bare.filter((_, i) => !resting[i]);
    const parts: Promise<VkResult<unknown>[]>[] = [];
    for (let i = 0; i < asked.length; i += MAX_CALLS) {
      parts.push(this.#bundler.ask(asked.slice(i, i + MAX_CALLS), { captcha, deadline }));
    }
    const results = (await Promise.all(parts)).flat();
    const resultOf = (call: Call<unknown>, i: number) =>
      resting[i] ? failed(resting[i]) : understood(call, results.shift()!);
    return calls.map(resultOf) as unknown as Results<C>;
  }

  #bound<P, T>(make: (params: P) => Call<T>): (params: P, options?: CallOptions) => Promise<VkResult<T>> {
    return async (params, options) => {
      const call = make(params);
      return understood(call, await this.call(call.method, call.params, options));
    };
  }
}

function checked({ method, params }: Call<unknown>): BareCall {
  return { method: checkMethod(method), params: plainParams(params) };
}

/** The response of VK is validated. */
function understood<T>({ method, answer }: Call<T>, result: VkResult<unknown>): VkResult<T> {
  if (!result.ok) return result;
  const parsed = answer.safeParse(result.value);
  return parsed.success
    ? { ok: true, value: parsed.data }
    : failed(unreachable(`VK's response to ${method} has an unexpected shape`));
}

async function restOf(limiter: CallLimiter, holder: string, method: string): Promise<VkFailure | undefined> {
  const kind = await limiter.rests(holder, method);
  return kind ? { kind, code: 0, message: `VK does not accept ${method} from this token for now` } : undefined;
}

async function restAfter(limiter: CallLimiter, holder: string, method: string, { kind }: VkFailure): Promise<void> {
  if (kind === "quota" || kind === "flood") await limiter.rest(holder, method, kind, REST_MS[kind]);
}

function failed(failure: VkFailure): { ok: false; failure: VkFailure } {
  return { ok: false, failure };
}

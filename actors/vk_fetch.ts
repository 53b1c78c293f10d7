import type { SequencedEvent } from "../db/event.ts";
import { type Cache, CacheUnavailable } from "../lib/cache/cache.ts";
import { AppError } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import type { Secret } from "../security/secret.ts";
import type { CallOptions, Vk, VkClient } from "../services/vk/client.ts";
import type { CaptchaAnswer, VkFailure } from "../services/vk/errors.ts";
import type { VkLang } from "../services/vk/lang.ts";
import { problemOf } from "../services/vk/problems.ts";
import type { Profile } from "../services/vk/profile.ts";
import { askId, askProfile, askVideos, Refused, type VideoPage } from "../services/vk/questions.ts";
import { type Target, wordOf } from "../services/vk/target.ts";
import type { HeldToken, TokenVault } from "../services/vk/vault.ts";

/** VK as used by the routes. */
export interface VkService {
  vault: TokenVault;
  fetch: VkFetch;
  /** The address of the fake, if it replaces VK. */
  fakeUrl: string | undefined;
}

export interface VkFetchOptions {
  vault: Pick<TokenVault, "of" | "refused" | "forget">;
  client: VkClient;
  /** Where responses are cached. */
  cache: Cache;
  /** This process's own cache, used while the other is unavailable. */
  spare: Cache;
  secret: Secret;
  log: Log;
  /** Milliseconds for which a cached response counts as fresh. */
  freshMs?: number;
}

/** A VK response with its age. `stale`: an older one, returned because VK does not answer. */
export interface Aged<T> {
  value: T;
  fetched_at: string;
  stale: boolean;
}

/** The time limit of a question over all its calls (`docs/limits.md`). */
const TIMEOUT_MS = 9_000;
/** How long a response counts as fresh, and how long it is kept for when VK is unavailable (`docs/limits.md`). */
const FRESH_MS = 60_000;
const KEPT_MS = 24 * 3_600_000;
/** Characters. Longer responses are not cached. */
const MAX_ANSWER_BYTES = 65_536;
/** The owner of a screen name changes rarely. */
const NAME_FRESH_MS = 3_600_000;
/** How long an answered captcha waits for the request to be repeated. */
const CAPTCHA_MS = 5 * 60_000;

/** Minimum interval of log messages while VK is unavailable. */
const LOG_INTERVAL_MS = 10_000;

/** The caller, its token and the language of names. */
interface Asker {
  userId: string;
  held: HeldToken;
  lang: VkLang | undefined;
}

/** Calls with the same token and language share one `Vk` while any is in progress, so that they share requests. */
interface Speaker {
  vk: Vk;
  users: number;
}

/**
 * Asks VK about people. A profile is one call or one `execute`; concurrent requests for the same wait for one answer.
 * Responses are cached per token, because what VK shows depends on the caller.
 */
export class VkFetch {
  #underWay = new Map<string, Promise<unknown>>();
  #speakers = new Map<string, Speaker>();
  #loggedAt = 0;

  constructor(private readonly options: VkFetchOptions) {}

  /** The token is deleted with its account. A late event is harmless, because no token is valid by then. */
  absorb(events: readonly SequencedEvent[]): void {
    for (const { kind, user_id } of events) {
      if (kind === "user.deleted" && user_id !== null) void this.options.vault.forget(user_id);
    }
  }

  /**
   * With names in `lang`, or else in the client's language. Throws a problem: of the token, a captcha, `not-found`, or
   * that VK does not answer and nothing is cached.
   */
  async profile(userId: string, target: Target, lang = this.options.client.lang): Promise<Aged<Profile>> {
    const held = await this.#held(userId, target);
    return await this.#answered({ userId, held, lang }, `profile ${wordOf(target)}`, async (vk, options) => {
      const profile = await askProfile(vk, held.kind, target, options);
      return { value: profile, whole: !Object.values(profile.unavailable).includes("vk-failing") };
    });
  }

  /** A number of videos after an offset. Hidden ones are left out. Throws as `profile` does. */
  async videos(
    userId: string,
    target: Target,
    page: { limit: number; offset: number },
    lang = this.options.client.lang,
  ): Promise<Aged<VideoPage>> {
    const held = await this.#held(userId, target);
    if (held.kind === "service") {
      const value = { count: null, items: [], unavailable: { videos: "user-token-required" } } as const;
      return { value: { ...value, items: [] }, fetched_at: new Date().toISOString(), stale: false };
    }
    const owner = target.by === "name"
      ? { by: "id", id: await this.#idOf({ userId, held, lang }, target.name) } as const
      : target;
    const word = `videos ${wordOf(owner)} ${page.offset} ${page.limit}`;
    return await this.#answered({ userId, held, lang }, word, async (vk, options) => {
      return { value: await askVideos(vk, owner, page, options), whole: true };
    });
  }

  /** Sent with the account's next request to VK. */
  async captchaAnswered(userId: string, answer: CaptchaAnswer): Promise<void> {
    const sealed = this.#sealed("vk-captcha", JSON.stringify(answer), userId);
    const kept = await this.#orWithout(this.options.cache.set(captchaKey(userId), sealed, CAPTCHA_MS));
    // Kept on this node only.
    if (kept === undefined) await this.options.spare.set(captchaKey(userId), sealed, CAPTCHA_MS);
  }

  async #held(userId: string, target: Target): Promise<HeldToken> {
    const held = await this.options.vault.of(userId);
    if (held.kind === "service" && target.by === "me") {
      throw new AppError("vk-user-token-required", "The stored token belongs to an app; store a user's token");
    }
    return held;
  }

  async #idOf(asker: Asker, name: string): Promise<number> {
    const { value } = await this.#answered(asker, `id ${name}`, async (vk, options) => {
      return { value: await askId(vk, name, options), whole: true };
    }, NAME_FRESH_MS);
    return value;
  }

  /** From the cache or from VK, once for all concurrent callers. */
  async #answered<T>(
    asker: Asker,
    word: string,
    ask: (vk: Vk, options: CallOptions) => Promise<{ value: T; whole: boolean }>,
    freshMs = this.options.freshMs ?? FRESH_MS,
  ): Promise<Aged<T>> {
    const { userId, held, lang } = asker;
    const key = `vk:answer:${userId}:${held.version}:${lang ?? ""}:${word}`;
    const kept = await this.#kept<T>(key);
    if (kept && Date.now() - Date.parse(kept.fetched_at) < freshMs) return { ...kept, stale: false };
    let asking = this.#underWay.get(key) as Promise<Aged<T>> | undefined;
    if (!asking) {
      asking = this.#ask(asker, key, ask).finally(() => this.#underWay.delete(key));
      this.#underWay.set(key, asking);
    }
    try {
      return await asking;
    } catch (error) {
      if (kept && error instanceof AppError && isPassing(error)) return { ...kept, stale: true };
      throw error;
    }
  }

  async #ask<T>(
    asker: Asker,
    key: string,
    ask: (vk: Vk, options: CallOptions) => Promise<{ value: T; whole: boolean }>,
  ): Promise<Aged<T>> {
    const { userId, held } = asker;
    using speaker = this.#speaker(asker);
    try {
      const options = { captcha: await this.#captcha(userId), deadline: Date.now() + TIMEOUT_MS };
      const { value, whole } = await ask(speaker.vk, options);
      const answer = { value, fetched_at: new Date().toISOString() };
      // Partial results are not cached.
      if (whole) await this.#keep(key, JSON.stringify(answer));
      return { ...answer, stale: false };
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      const { failure } = error;
      if (failure.kind === "token-dead") await this.options.vault.refused(userId, held.version);
      this.#logFailure(failure);
      throw problemOf(failure);
    }
  }

  #speaker({ userId, held: { token, version }, lang }: Asker): { vk: Vk } & Disposable {
    const key = `${userId} ${version} ${lang}`;
    const speaker = this.#speakers.get(key) ?? { vk: this.options.client.as(token, lang), users: 0 };
    this.#speakers.set(key, speaker);
    speaker.users++;
    return {
      vk: speaker.vk,
      [Symbol.dispose]: () => {
        if (--speaker.users === 0) this.#speakers.delete(key);
      },
    };
  }

  async #kept<T>(key: string): Promise<{ value: T; fetched_at: string } | undefined> {
    return this.#opened("vk-answer", await this.#orWithout(this.options.cache.get(key)), key);
  }

  async #keep(key: string, text: string): Promise<void> {
    if (text.length > MAX_ANSWER_BYTES) return;
    await this.#orWithout(this.options.cache.set(key, this.#sealed("vk-answer", text, key), KEPT_MS));
  }

  async #captcha(userId: string): Promise<CaptchaAnswer | undefined> {
    const sealed = await this.#orWithout(this.options.cache.take(captchaKey(userId))) ??
      await this.options.spare.take(captchaKey(userId));
    return this.#opened("vk-captcha", sealed, userId);
  }

  /** Data from VK belongs to the caller, so it is encrypted in the cache. */
  #sealed(purpose: string, text: string, context: string): string {
    return this.options.secret.seal(purpose, new TextEncoder().encode(text), context).toBase64();
  }

  #opened<T>(purpose: string, sealed: string | null | undefined, context: string): T | undefined {
    if (!sealed) return undefined;
    try {
      const plain = this.options.secret.open(purpose, Uint8Array.fromBase64(sealed), context);
      return JSON.parse(new TextDecoder().decode(plain));
    } catch {
      // Damaged or encrypted with another secret: treated as missing.
      return undefined;
    }
  }

  /** An unavailable cache costs only speed. */
  async #orWithout<T>(call: Promise<T>): Promise<T | undefined> {
    try {
      return await call;
    } catch (error) {
      if (error instanceof CacheUnavailable) return undefined;
      throw error;
    }
  }

  /** VK's own messages are not logged, because their content is unknown. */
  #logFailure({ kind, code, message }: VkFailure): void {
    const { log } = this.options;
    if (kind === "unreachable" && Date.now() - this.#loggedAt > LOG_INTERVAL_MS) {
      this.#loggedAt = Date.now();
      log.warnOften("VK does not answer", {}, { reason: message });
    }
    if (kind === "bug" || kind === "app" || kind === "script") log.error("VK rejected a request", { kind, code });
  }
}

/** The condition is temporary, so an older response is better than none. */
function isPassing({ code }: AppError): boolean {
  return code === "vk-unavailable" || code === "rate-limited";
}

function captchaKey(userId: string): string {
  return `vk:captcha:${userId}`;
}

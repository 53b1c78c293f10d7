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

/** VK as the routes reach it. */
export interface VkService {
  vault: TokenVault;
  fetch: VkFetch;
  /** Where the fake is, in place of the real one. */
  fakeUrl: string | undefined;
}

export interface VkFetchOptions {
  vault: Pick<TokenVault, "of" | "refused" | "forget">;
  client: VkClient;
  /** Where answers are kept. */
  cache: Cache;
  /** This process's own, for what waits while the other is away. */
  spare: Cache;
  secret: Secret;
  log: Log;
  /** Milliseconds an answer is given again without a question. */
  freshMs?: number;
}

/** An answer of VK's with its age; `stale` is an older one, given because VK does not answer now. */
export interface Aged<T> {
  value: T;
  fetched_at: string;
  stale: boolean;
}

/** A question has this long, however many calls it takes (`docs/limits.md`). */
const WITHIN_MS = 9_000;
/** How long an answer is given again, and kept for when VK is away (`docs/limits.md`). */
const FRESH_MS = 60_000;
const KEPT_MS = 24 * 3_600_000;
/** Characters; a longer answer is not kept. */
const MAX_ANSWER_BYTES = 65_536;
/** Whose a screen name is changes rarely. */
const NAME_FRESH_MS = 3_600_000;
/** A captcha that was answered waits so long for the request to come again. */
const CAPTCHA_MS = 5 * 60_000;

/** While VK is away the log says so this often, however many ask. */
const TELL_MS = 10_000;

/** Who asks, by which token, and the language of the names that VK gives. */
interface Asker {
  userId: string;
  held: HeldToken;
  lang: VkLang | undefined;
}

/** Calls of one token in one language go through one `Vk` while any is under way, so that they share requests. */
interface Speaker {
  vk: Vk;
  users: number;
}

/**
 * Asks VK for people. A profile is one call or one `execute`; who asks for the same while it is under way waits for that answer. Answers
 * are kept for the token they came by: what VK shows depends on who asks.
 */
export class VkFetch {
  #underWay = new Map<string, Promise<unknown>>();
  #speakers = new Map<string, Speaker>();
  #toldAt = 0;

  constructor(private readonly options: VkFetchOptions) {}

  /** The token goes with its account; who is told late finds no token in force. */
  absorb(events: readonly SequencedEvent[]): void {
    for (const { kind, user_id } of events) {
      if (kind === "user.deleted" && user_id !== null) void this.options.vault.forget(user_id);
    }
  }

  /**
   * With names in `lang`, else in the client's language. Throws a problem: the token's, the captcha's, `not-found`, or that VK does
   * not answer and nothing is kept.
   */
  async profile(userId: string, target: Target, lang = this.options.client.lang): Promise<Aged<Profile>> {
    const held = await this.#held(userId, target);
    return await this.#answered({ userId, held, lang }, `profile ${wordOf(target)}`, async (vk, options) => {
      const profile = await askProfile(vk, held.kind, target, options);
      return { value: profile, whole: !Object.values(profile.unavailable).includes("vk-failing") };
    });
  }

  /** So many from an offset on; hidden ones are left out of it. Throws as `profile` does. */
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

  /** Goes with the next request of this account to VK. */
  async captchaAnswered(userId: string, answer: CaptchaAnswer): Promise<void> {
    const sealed = this.#sealed("vk-captcha", JSON.stringify(answer), userId);
    const kept = await this.#orWithout(this.options.cache.set(captchaKey(userId), sealed, CAPTCHA_MS));
    // Then it waits at this node only.
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

  /** From what is kept or, once for all who ask now, from VK. */
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
      const options = { captcha: await this.#captcha(userId), deadline: Date.now() + WITHIN_MS };
      const { value, whole } = await ask(speaker.vk, options);
      const answer = { value, fetched_at: new Date().toISOString() };
      // What failed for now is to be asked again.
      if (whole) await this.#keep(key, JSON.stringify(answer));
      return { ...answer, stale: false };
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      const { failure } = error;
      if (failure.kind === "token-dead") await this.options.vault.refused(userId, held.version);
      this.#tell(failure);
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

  /** What VK tells of people is theirs who asked: whoever reads the cache reads nothing. */
  #sealed(purpose: string, text: string, context: string): string {
    return this.options.secret.seal(purpose, new TextEncoder().encode(text), context).toBase64();
  }

  #opened<T>(purpose: string, sealed: string | null | undefined, context: string): T | undefined {
    if (!sealed) return undefined;
    try {
      const plain = this.options.secret.open(purpose, Uint8Array.fromBase64(sealed), context);
      return JSON.parse(new TextDecoder().decode(plain));
    } catch {
      // Damaged, or of another secret, is as good as lost.
      return undefined;
    }
  }

  /** Losing the cache loses nothing but speed. */
  async #orWithout<T>(call: Promise<T>): Promise<T | undefined> {
    try {
      return await call;
    } catch (error) {
      if (error instanceof CacheUnavailable) return undefined;
      throw error;
    }
  }

  /** VK's own words stay out: nobody here wrote them. */
  #tell({ kind, code, message }: VkFailure): void {
    const { log } = this.options;
    if (kind === "unreachable" && Date.now() - this.#toldAt > TELL_MS) {
      this.#toldAt = Date.now();
      log.warn("VK does not answer", { reason: message });
    }
    if (kind === "bug" || kind === "app" || kind === "script") log.error("VK refuses what was asked", { kind, code });
  }
}

/** It may be otherwise in a while, so an older answer is better than none. */
function isPassing({ code }: AppError): boolean {
  return code === "vk-unavailable" || code === "rate-limited";
}

function captchaKey(userId: string): string {
  return `vk:captcha:${userId}`;
}

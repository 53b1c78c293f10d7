import { type CaptchaAnswer, failureOf, passesByItself, unreachable, type VkFailure, type VkResult } from "./errors.ts";
import { checkMethod, onlyLooks, plainParams, type VkParams } from "./params.ts";
import type { VkToken } from "./token.ts";

/** Calls that one `execute` takes. */
export const MAX_CALLS = 25;

export interface BareCall {
  method: string;
  params: VkParams;
}

/** What goes to VK in one request. */
export interface Prepared extends BareCall {
  /** It may be asked twice. */
  repeatable: boolean;
  captcha?: CaptchaAnswer | undefined;
}

/** VK's success envelope. */
export interface Answered {
  response: unknown;
  execute_errors?: unknown;
}

/** What the bundles of a token are sent by. */
export interface Sender {
  /** `prepare` is asked once, when the request's turn has come. */
  perform(prepare: () => Prepared, deadline: number): Promise<VkResult<Answered>>;
  /** Whether VK has refused `execute` to this token, and that it has. */
  isAlone(): boolean;
  leaveAlone(): void;
  /** Why VK wants to hear nothing of a method for now. */
  rests(method: string): Promise<VkFailure | undefined>;
  /** An inner call was refused: what that means for later ones. */
  refused(method: string, failure: VkFailure): Promise<void>;
  readonly token: VkToken;
}

interface AskOptions {
  captcha: CaptchaAnswer | undefined;
  deadline: number;
}

interface Ask extends AskOptions {
  calls: readonly BareCall[];
  resolve: (results: VkResult<unknown>[]) => void;
  reject: (error: unknown) => void;
}

/**
 * Makes one request of many calls. Calls of a token wait for their turn here, and those that wait when it comes share one `execute`:
 * the more VK's limit holds them up, the fewer requests they cost. A call that is alone goes as it is.
 */
export class Bundler {
  #waiting: Ask[] = [];
  #inTurn = false;

  constructor(private readonly sender: Sender) {}

  /** The results in the order of the calls, at most 25 of them. */
  ask(calls: readonly BareCall[], options: AskOptions): Promise<VkResult<unknown>[]> {
    if (calls.length > MAX_CALLS) throw new RangeError(`Expected at most ${MAX_CALLS} calls, got ${calls.length}`);
    if (this.sender.isAlone()) return Promise.all(calls.map((call) => this.#plainly(call, options)));
    return new Promise((resolve, reject) => {
      this.#waiting.push({ ...options, calls, resolve, reject });
      this.#turn();
    });
  }

  #turn(): void {
    if (this.#inTurn || this.#waiting.length === 0) return;
    this.#inTurn = true;
    // Who shares a request came later, and waits longer.
    const { deadline } = this.#waiting[0]!;
    let drawn: Ask[] | undefined;
    const draw = (): Ask[] => {
      if (drawn) return drawn;
      drawn = this.#draw();
      this.#inTurn = false;
      this.#turn();
      return drawn;
    };
    // Refused before its turn came: so are all that waited for it.
    this.sender.perform(() => prepared(draw()), deadline).then((result) => this.#distribute(draw(), result))
      .catch((error) => draw().forEach(({ reject }) => reject(error)));
  }

  /** As many as fit into one request, the first come first. */
  #draw(): Ask[] {
    let size = 0;
    const fits = this.#waiting.findIndex(({ calls }) => (size += calls.length) > MAX_CALLS);
    return this.#waiting.splice(0, fits < 0 ? this.#waiting.length : fits);
  }

  async #distribute(asks: readonly Ask[], result: VkResult<Answered>): Promise<void> {
    const { captcha } = withCaptcha(asks);
    const { deadline } = asks[0]!;
    const results = await this.#resultsOf(asks.flatMap(({ calls }) => calls), result, { captcha, deadline });
    let at = 0;
    for (const { calls, resolve } of asks) resolve(results.slice(at, at += calls.length));
  }

  async #resultsOf(
    calls: readonly BareCall[],
    result: VkResult<Answered>,
    options: AskOptions,
  ): Promise<VkResult<unknown>[]> {
    if (calls.length === 1) return [result.ok ? { ok: true, value: result.value.response } : result];
    if (!result.ok) {
      if (!isAboutExecute(result.failure)) return calls.map(() => result);
      // An app's token may not bundle, by some of VK's documents; that holds for the next time, too.
      if (result.failure.kind === "user-token-required") this.sender.leaveAlone();
      return await Promise.all(calls.map((call) => this.#plainly(call, options)));
    }
    const inner = unpacked(calls, result.value, this.sender.token);
    return await Promise.all(inner.map(async (each, i) => {
      if (each.ok) return each;
      await this.sender.refused(calls[i]!.method, each.failure);
      return asksAgain(each.failure) ? await this.#plainly(calls[i]!, options) : each;
    }));
  }

  async #plainly({ method, params }: BareCall, { captcha, deadline }: AskOptions): Promise<VkResult<unknown>> {
    const prepare = () => ({ method, params, repeatable: onlyLooks(method), captcha });
    const result = await this.sender.perform(prepare, deadline);
    return result.ok ? { ok: true, value: result.value.response } : result;
  }
}

/** The code of a script that makes these calls, in the one form that every interpreter of VK's takes. */
export function codeOf(calls: readonly BareCall[]): string {
  const made = calls.map(({ method, params }) => `API.${checkMethod(method)}(${JSON.stringify(plainParams(params))})`);
  return `return [${made.join(",")}];`;
}

function prepared(asks: readonly Ask[]): Prepared {
  const calls = asks.flatMap((ask) => ask.calls);
  const { captcha } = withCaptcha(asks);
  const repeatable = calls.every(({ method }) => onlyLooks(method));
  if (calls.length === 1) return { ...calls[0]!, repeatable, captcha };
  return { method: "execute", params: { code: codeOf(calls) }, repeatable, captcha };
}

/** One answer to a captcha goes with the request of all. */
function withCaptcha(asks: readonly Ask[]): Ask {
  return asks.find(({ captcha }) => captcha) ?? asks[0]!;
}

/** An inner call that failed is `false`, and what it failed of is told beside, in the order of the calls. */
function unpacked(
  calls: readonly BareCall[],
  { response, execute_errors }: Answered,
  token: VkToken,
): VkResult<unknown>[] {
  const values = Array.isArray(response) ? response : [];
  const errors = (Array.isArray(execute_errors) ? execute_errors : []).filter((each) =>
    typeof each === "object" && each !== null
  );
  return calls.map(({ method }, i) => {
    if (i >= values.length) return failed(unreachable("The answer to a script has another shape"));
    const at = values[i] === false ? errors.findIndex((error) => error.method === method) : -1;
    if (at < 0) return { ok: true, value: values[i] };
    return failed(failureOf(errors.splice(at, 1)[0], token));
  });
}

/** By itself it is tried again as it should, or it tells what the person is to do: a script's errors have no links. */
function asksAgain(failure: VkFailure): boolean {
  return passesByItself(failure) || failure.kind === "captcha" || failure.kind === "validation";
}

/** Too long an answer (13), a script that VK does not take (12), or none from this token, ever or today. */
function isAboutExecute({ kind }: VkFailure): boolean {
  return kind === "script" || kind === "user-token-required" || kind === "quota";
}

function failed(failure: VkFailure): { ok: false; failure: VkFailure } {
  return { ok: false, failure };
}

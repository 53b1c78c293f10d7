import { type CaptchaAnswer, failureOf, passesByItself, unreachable, type VkFailure, type VkResult } from "./errors.ts";
import { checkMethod, onlyLooks, plainParams, type VkParams } from "./params.ts";
import type { VkToken } from "./token.ts";

/** Maximum of calls in one `execute`. */
export const MAX_CALLS = 25;

export interface BareCall {
  method: string;
  params: VkParams;
}

/** One request to VK. */
export interface Prepared extends BareCall {
  /** Whether it may be repeated. */
  repeatable: boolean;
  captcha?: CaptchaAnswer | undefined;
}

/** VK's success envelope. */
export interface Answered {
  response: unknown;
  execute_errors?: unknown;
}

/** Sends the bundles of a token. */
export interface Sender {
  /** `prepare` is called once, when the request may be sent. */
  perform(prepare: () => Prepared, deadline: number): Promise<VkResult<Answered>>;
  /** Whether VK refuses `execute` to this token, and how to record that. */
  isAlone(): boolean;
  leaveAlone(): void;
  /** Why a method is paused. */
  rests(method: string): Promise<VkFailure | undefined>;
  /** Records the error of an inner call, for later ones. */
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
 * Combines calls into requests. Calls of a token wait for their turn, and those that wait at that time share one
 * `execute`: the longer the queue, the fewer requests. A single call is sent directly.
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
    // Calls that share a request came later, and have later deadlines.
    const { deadline } = this.#waiting[0]!;
    let drawn: Ask[] | undefined;
    const draw = (): Ask[] => {
      if (drawn) return drawn;
      drawn = this.#draw();
      this.#inTurn = false;
      this.#turn();
      return drawn;
    };
    // Refused before its turn: so are all calls that waited for it.
    this.sender.perform(() => prepared(draw()), deadline).then((result) => this.#distribute(draw(), result))
      .catch((error) => draw().forEach(({ reject }) => reject(error)));
  }

  /** As many as fit into one request, in order. */
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
      // According to some documents of VK an app's token may not bundle; remember that.
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

/** The code of a script with these calls, in the form that every interpreter of VK accepts. */
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

/** The answer to a captcha is sent with the combined request. */
function withCaptcha(asks: readonly Ask[]): Ask {
  return asks.find(({ captcha }) => captcha) ?? asks[0]!;
}

/** A failed inner call is `false`; the errors are listed separately, in the order of the calls. */
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
    if (i >= values.length) return failed(unreachable("The response to a script has an unexpected shape"));
    const at = values[i] === false ? errors.findIndex((error) => error.method === method) : -1;
    if (at < 0) return { ok: true, value: values[i] };
    return failed(failureOf(errors.splice(at, 1)[0], token));
  });
}

/** Sent separately, it is retried properly, or returns what the person has to do: errors in a script have no links. */
function asksAgain(failure: VkFailure): boolean {
  return passesByItself(failure) || failure.kind === "captcha" || failure.kind === "validation";
}

/** The response is too long (13), the script is invalid (12), or `execute` is not allowed for this token. */
function isAboutExecute({ kind }: VkFailure): boolean {
  return kind === "script" || kind === "user-token-required" || kind === "quota";
}

function failed(failure: VkFailure): { ok: false; failure: VkFailure } {
  return { ok: false, failure };
}

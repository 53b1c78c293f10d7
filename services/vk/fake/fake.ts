import { FakeError, invalidToken } from "./error.ts";
import { type Fault, type FaultRule, Faults } from "./faults.ts";
import { Limits } from "./limits.ts";
import { type Asked, METHODS } from "./methods.ts";
import { Params } from "./params.ts";
import { callsIn, readScript, type Script } from "./script.ts";
import { SWITCHES, type Switches } from "./switches.ts";
import { type Holder, holderOf, wordFor } from "./tokens.ts";

export interface FakeRequest {
  http: string;
  /** As in the path. */
  method: string;
  params: ReadonlyMap<string, string>;
  token: string | undefined;
  /** Where the token was found, such as `header` or `header+query`; empty without one. */
  tokenFrom: string;
}

/** A call for tests to inspect; it has the owner of the token, not the token. */
export interface LogEntry {
  at: number;
  http: string;
  method: string;
  params: Record<string, string>;
  token_from: string;
  holder: string;
  /** VK's error code, 0 for a response. */
  code: number;
  fault?: Fault["kind"];
}

/** A status and a body, or what happens to the connection. */
export interface Reaction {
  status: number;
  body: string;
  fault?: Fault;
}

const MAX_LOGGED = 2_000;
const MAX_CALLS = 25;
const OLDEST_VERSION = [5, 81];
/** The kinds of tokens that `execute` accepts, unless a switch changes it. */
const EXECUTE: Holder["kind"][] = ["user", "group", "service"];

/** VK as far as it is known (`docs/decisions/0010-vk.md`), without HTTP. */
export class VkFake {
  readonly switches: Switches = { ...SWITCHES };
  readonly faults = new Faults();
  #log: LogEntry[] = [];
  #frozenAt: number | undefined;
  #limits = new Limits(this.switches, () => this.now());

  now(): number {
    return this.#frozenAt ?? Date.now();
  }

  /** Stops the clock at this time. */
  freeze(at: number = this.now()): void {
    this.#frozenAt = at;
  }

  advance(ms: number): void {
    this.#frozenAt = this.now() + ms;
  }

  unfreeze(): void {
    this.#frozenAt = undefined;
  }

  fault(fault: Fault, rule: Omit<FaultRule, "fault"> = {}): void {
    this.faults.add({ fault, ...rule });
  }

  get log(): readonly LogEntry[] {
    return this.#log;
  }

  /** Restores the initial state. */
  reset(): void {
    Object.assign(this.switches, SWITCHES);
    this.faults.clear();
    this.forget();
    this.#frozenAt = undefined;
    this.#limits = new Limits(this.switches, () => this.now());
  }

  forget(): void {
    this.#log = [];
  }

  /** In the order of VK's checks: method, version, token, its kind, the second, the day, parameters, access. */
  react(request: FakeRequest): Reaction {
    const entry = this.#entry(request);
    let fault: Fault | undefined;
    try {
      this.#known(request.method);
      this.#version(request.params);
      const { holder, token } = this.#holder(request);
      entry.holder = wordFor(holder);
      this.#takes(request.method, holder);
      this.#limits.perSecond(token, holder, request.method);
      const planned = this.faults.next(request.method, entry.holder, request.params, false);
      if (planned instanceof FakeError) throw planned;
      if (planned) {
        fault = planned;
        entry.fault = planned.kind;
      }
      const answer = request.method === "execute"
        ? this.#execute(request, holder, token)
        : { response: this.#answer(request.method, request.params, holder, token) };
      return { status: 200, body: JSON.stringify(answer), ...(fault && { fault }) };
    } catch (error) {
      if (!(error instanceof FakeError)) throw error;
      entry.code = error.code;
      const { error_status: status } = this.switches;
      return { status, body: this.#errorBody(error, request), ...(fault && { fault }) };
    }
  }

  #entry({ http, method, params, tokenFrom }: FakeRequest): LogEntry {
    const shown = Object.fromEntries([...params].filter(([name]) => name !== "access_token"));
    const entry = { at: this.now(), http, method, params: shown, token_from: tokenFrom, holder: "nobody", code: 0 };
    this.#log.push(entry);
    if (this.#log.length > MAX_LOGGED) this.#log.shift();
    return entry;
  }

  /** Names are case-sensitive. */
  #known(method: string): void {
    if (method !== "execute" && !Object.hasOwn(METHODS, method)) throw new FakeError(3, "Unknown method passed");
  }

  #version(params: ReadonlyMap<string, string>): void {
    const given = params.get("v");
    const hint = 'Version param should be passed as "v". "version" param is invalid and not supported.';
    if (!given) {
      const old = this.switches.no_version_text === 2018;
      throw new FakeError(8, `Invalid request: ${old ? "v (version) is required" : `v is required. ${hint}`}`);
    }
    const [major = 0, minor = 0] = given.split(".").map(Number);
    const [least, leastMinor] = OLDEST_VERSION as [number, number];
    if (major > least || (major === least && minor >= leastMinor)) return;
    const more = "For more information go to https://vk.com/dev/constant_version_updates";
    throw new FakeError(8, `Invalid request: versions below 5.81 are deprecated. ${hint} ${more}`);
  }

  #holder({ token }: FakeRequest): { holder: Holder; token: string } {
    if (token) return { holder: holderOf(token), token };
    const { no_token } = this.switches;
    if (no_token === 5) throw invalidToken("no access_token passed");
    const words = no_token === 8
      ? "Invalid request: method is unavailable without access token"
      : "Access denied: token required";
    throw new FakeError(no_token, words);
  }

  #takes(method: string, { kind }: Holder): void {
    const takes = method === "execute" ? EXECUTE : METHODS[method]!.takes;
    const refused = method === "execute" && kind === "service" && !this.switches.service_execute;
    if (takes.includes(kind) && !refused) return;
    if (kind === "service") {
      throw new FakeError(28, "Application authorization failed: method is unavailable with service token.");
    }
    if (kind === "group") throw new FakeError(27, "Group authorization failed: method is unavailable with group auth.");
    throw new FakeError(8, "Invalid request: this method is unavailable by client credential flow");
  }

  #answer(method: string, params: ReadonlyMap<string, string>, holder: Holder, token: string): unknown {
    this.#limits.perDay(token, method);
    const asked: Asked = {
      holder,
      params: new Params(params, this.switches.names_parameter),
      switches: this.switches,
      now: this.now(),
    };
    return METHODS[method]!.answer(asked);
  }

  #execute({ params }: FakeRequest, holder: Holder, token: string): Record<string, unknown> {
    const code = params.get("code");
    if (!code) throw new FakeError(100, "One of the parameters specified was missing or invalid: code is undefined");
    const script = readScript(code);
    if (callsIn(script) > MAX_CALLS) {
      throw new FakeError(
        this.switches.too_many_calls,
        "Runtime error occurred during code invocation: too many api calls",
      );
    }
    const errors: unknown[] = [];
    const response = this.#run(script, holder, token, errors, params.get("lang"));
    return { response, ...(errors.length > 0 && { execute_errors: errors }) };
  }

  /** A failed call is `false`; its error is listed separately. */
  #run(script: Script, holder: Holder, token: string, errors: unknown[], lang: string | undefined): unknown {
    if ("value" in script) return script.value;
    if ("list" in script) return script.list.map((each) => this.#run(each, holder, token, errors, lang));
    const { method, params: given } = script.call;
    // The language of the script applies to its calls.
    const params = new Map(
      Object.entries({ ...(lang !== undefined && { lang }), ...given }).map(([name, value]) => [name, String(value)]),
    );
    try {
      if (!Object.hasOwn(METHODS, method)) throw new FakeError(3, "Unknown method passed");
      this.#takes(method, holder);
      const fault = this.faults.next(method, wordFor(holder), params, true);
      if (fault instanceof FakeError) throw fault;
      return this.#answer(method, params, holder, token);
    } catch (error) {
      if (!(error instanceof FakeError)) throw error;
      errors.push({ method, error_code: error.code, error_msg: error.message });
      return false;
    }
  }

  #errorBody({ code, message, extras }: FakeError, { method, params, token }: FakeRequest): string {
    const { echo_order, echo_token } = this.switches;
    const own = [["method", method], ["oauth", "1"]] as const;
    const given = [...params].filter(([name]) => name !== "access_token");
    const echoed = [
      ...(echo_order === "first" ? own : []),
      ...given,
      ...(echo_token && token ? [["access_token", token]] as const : []),
      ...(echo_order === "last" ? own : []),
    ];
    const error = {
      error_code: code,
      error_msg: echo_token && token ? `${message} (${token})` : message,
      request_params: echoed.map(([key, value]) => ({ key, value })),
      ...extras,
    };
    // In JSON a number above 2⁵³ is a number too.
    return JSON.stringify({ error }).replace(/"remixstlid":"(\d+)"/, '"remixstlid":$1');
  }
}

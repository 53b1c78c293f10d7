import { FakeError, WORDS } from "./error.ts";

/** What VK, or the network, may do to a call. */
export type Fault =
  /** Any of VK's codes, with its message or another. */
  | { kind: "error"; code: number; message?: string }
  /** Until it is answered: a picture (`old`) or a page (`new`). */
  | { kind: "captcha"; form: "old" | "new" }
  | { kind: "validation" }
  | { kind: "confirmation" }
  /** A correct response with a delay. */
  | { kind: "latency"; ms: number }
  /** An HTML page of a proxy instead of a response. */
  | { kind: "html"; status: number }
  /** The connection is reset before the response, or in the middle of it. */
  | { kind: "reset" }
  | { kind: "broken-off" }
  /** No response, or one without end. */
  | { kind: "no-answer" }
  | { kind: "slow-body" }
  /** A success status with half a response, or one without `response`. */
  | { kind: "truncated" }
  | { kind: "no-response" };

export interface FaultRule {
  fault: Fault;
  /** Such as `users.get`; without it any. Calls within `execute` are counted, for errors only. */
  method?: string;
  /** The owner of the token, such as `user 101` or `service`; without it anybody. */
  holder?: string;
  /** How often; 1 by default. A captcha lasts until it is answered. */
  times?: number;
}

interface Planned extends FaultRule {
  left: number;
  /** The id of a captcha. */
  sid: string;
}

/** The captcha answer that the fake accepts, besides that of a person. */
export const CAPTCHA_KEY = "rook";
export const SUCCESS_TOKEN = "fake-success";
/** Above 2⁵³, like VK's. */
export const REMIXSTLID = "9069780796616521905";

/** The pending faults, in the order of requests. */
export class Faults {
  #planned: Planned[] = [];
  #captchas = 0;

  add(rule: FaultRule): void {
    const left = rule.fault.kind === "captcha" ? Infinity : rule.times ?? 1;
    this.#planned.push({ ...rule, left, sid: String(239_633_676_097 + this.#captchas++) });
  }

  clear(): void {
    this.#planned = [];
  }

  list(): (FaultRule & { left: number })[] {
    return this.#planned.map(({ sid: _, ...rule }) => rule);
  }

  /** The fault for this call, if any. An answered captcha ends. */
  next(
    method: string,
    holder: string,
    params: ReadonlyMap<string, string>,
    within: boolean,
  ): Fault | FakeError | undefined {
    const fits = (rule: Planned) =>
      (rule.method ?? method) === method && (rule.holder ?? holder) === holder &&
      (!within || errorOf(rule) !== undefined);
    const planned = this.#planned.find(fits);
    if (!planned) return undefined;
    if (planned.fault.kind === "captcha" && isAnswered(planned, params)) {
      this.#planned.splice(this.#planned.indexOf(planned), 1);
      return undefined;
    }
    if (--planned.left <= 0) this.#planned.splice(this.#planned.indexOf(planned), 1);
    return errorOf(planned) ?? planned.fault;
  }
}

function isAnswered({ fault, sid }: Planned, params: ReadonlyMap<string, string>): boolean {
  if (fault.kind !== "captcha") return false;
  return fault.form === "old"
    ? params.get("captcha_sid") === sid && params.get("captcha_key") === CAPTCHA_KEY
    : params.get("success_token") === SUCCESS_TOKEN && params.get("remixstlid") === REMIXSTLID;
}

function errorOf({ fault, sid }: Planned): FakeError | undefined {
  switch (fault.kind) {
    case "error":
      return new FakeError(fault.code, fault.message ?? WORDS[fault.code] ?? `Error ${fault.code}`);
    case "captcha":
      return captcha(fault.form, sid);
    case "validation":
      return new FakeError(17, "Validation required: please open redirect_uri in browser", {
        redirect_uri: "https://m.vk.com/activation?act=validate&api_hash=fake&hash=fake",
      });
    case "confirmation":
      return new FakeError(24, "Confirmation required", { confirmation_text: "Are you sure?" });
    default:
      return undefined;
  }
}

export function captcha(form: "old" | "new", sid: string): FakeError {
  return new FakeError(
    14,
    "Captcha needed",
    form === "old" ? { captcha_sid: sid, captcha_img: `http://api.vk.com/captcha.php?sid=${sid}&s=1` } : {
      redirect_uri: `https://id.vk.com/not_robot_captcha?domain=vk.com&session_token=${sid}&variant=popup&blank=1`,
      remixstlid: REMIXSTLID,
    },
  );
}

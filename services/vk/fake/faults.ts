import { FakeError, WORDS } from "./error.ts";

/** What VK, or the way to it, may do to a call. */
export type Fault =
  /** Any of VK's codes, in its words or others. */
  | { kind: "error"; code: number; message?: string }
  /** Until it is answered: a picture (`old`) or a page (`new`). */
  | { kind: "captcha"; form: "old" | "new" }
  | { kind: "validation" }
  | { kind: "confirmation" }
  /** The answer comes so much later, and is right. */
  | { kind: "latency"; ms: number }
  /** A page of the proxy's instead of an answer. */
  | { kind: "html"; status: number }
  /** The connection is cut before an answer, or in the middle of it. */
  | { kind: "reset" }
  | { kind: "broken-off" }
  /** No answer, ever; or one whose end never comes. */
  | { kind: "no-answer" }
  | { kind: "slow-body" }
  /** A status of success with half an answer, or one without `response`. */
  | { kind: "truncated" }
  | { kind: "no-response" };

export interface FaultRule {
  fault: Fault;
  /** `users.get`; without it any. Calls within `execute` have theirs, errors only. */
  method?: string;
  /** Of whom, as `user 101` or `service`; without it of anybody. */
  holder?: string;
  /** How often; 1, unless told. A captcha lasts until it is answered. */
  times?: number;
}

interface Planned extends FaultRule {
  left: number;
  /** Of a captcha. */
  sid: string;
}

/** Beside what a person has to find out: the answers that the fake takes. */
export const CAPTCHA_KEY = "rook";
export const SUCCESS_TOKEN = "fake-success";
/** Over 2⁵³, as VK's. */
export const REMIXSTLID = "9069780796616521905";

/** What is to go wrong, in the order in which it was asked for. */
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

  /** What happens to this call, if anything; an answered captcha is over. */
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

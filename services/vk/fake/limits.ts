import { FakeError } from "./error.ts";
import type { Switches } from "./switches.ts";
import type { Holder } from "./tokens.ts";

const DAY_MS = 24 * 3_600_000;

/** Calls of each token within a second, and of some methods within a day. */
export class Limits {
  #seconds = new Map<string, number[]>();
  #days = new Map<string, { start: number; calls: number }>();

  constructor(private readonly switches: Switches, private readonly now: () => number) {}

  /** Throws 6. */
  perSecond(token: string, holder: Holder, method: string): void {
    // These have separate limits, far above what a test sends.
    if (method.startsWith("secure.")) return;
    const { window, window_ms, calls, group_calls } = this.switches;
    const now = this.now();
    const times = this.#seconds.get(token) ?? [];
    // A fixed window starts with its first call; a sliding one is always the last second.
    const over = (time: number) => now - time >= window_ms;
    const inWindow = window === "sliding"
      ? times.filter((time) => !over(time))
      : times[0] === undefined || over(times[0])
      ? []
      : times;
    this.#seconds.set(token, [...inWindow, now]);
    if (inWindow.length >= (holder.kind === "group" ? group_calls : calls)) {
      throw new FakeError(6, "Too many requests per second");
    }
  }

  /** Throws 29. */
  perDay(token: string, method: string): void {
    if (method !== "wall.get") return;
    const known = this.#days.get(token);
    const day = known && this.now() - known.start < DAY_MS ? known : { start: this.now(), calls: 0 };
    this.#days.set(token, day);
    if (++day.calls > this.switches.wall_gets_a_day) throw new FakeError(29, "Rate limit reached");
  }
}

import type { Log } from "../log.ts";
import { apart } from "../tracing.ts";

/** Messages that may wait for the handler. Beyond this, new ones are dropped. */
const MAX_WAITING = 65_536;

/** Calls a handler with one message at a time. Failures of the handler are logged. */
export class SerialHandler {
  private readonly waiting: [message: string, subject: string][] = [];
  private running = false;
  private stopped = false;

  constructor(
    private readonly handler: (message: string, subject: string) => void | Promise<void>,
    private readonly log: Log,
  ) {}

  push(message: string, subject: string): void {
    if (this.stopped) return;
    if (this.waiting.length >= MAX_WAITING) {
      this.log.error("slow subscription, message dropped", { subject });
      return;
    }
    this.waiting.push([message, subject]);
    // Listeners do not run in the context of the request that publishes.
    if (!this.running) apart(() => this.run());
  }

  stop(): void {
    this.stopped = true;
    this.waiting.length = 0;
  }

  private async run(): Promise<void> {
    this.running = true;
    // Never within `push`: a publisher must not run its listeners.
    await undefined;
    for (let next = 0; next < this.waiting.length;) {
      const [message, subject] = this.waiting[next++]!;
      try {
        const done = this.handler(message, subject);
        if (done instanceof Promise) await done;
      } catch (error) {
        this.log.error("message handler failed", { subject, error });
      }
      // Shifting one by one would move the rest of the array each time.
      if (next > 1024 || next === this.waiting.length) {
        this.waiting.splice(0, next);
        next = 0;
      }
    }
    this.running = false;
  }
}

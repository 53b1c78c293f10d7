import type { Bus } from "../actors/runtime/bus.ts";

/**
 * Tells every process of an installation that there may be work among the jobs. Whoever misses it looks by itself within a
 * second, so a bus that is away is no error.
 */
export class JobDoorbell {
  #listeners: (() => void)[] = [];

  private constructor(private readonly bus: Bus, private readonly subject: string) {}

  /** `history` is the installation's: several may share a bus. */
  static async open(bus: Bus, history: string): Promise<JobDoorbell> {
    const bell = new JobDoorbell(bus, `rookery.jobs.${history}`);
    await bus.subscribe(bell.subject, () => bell.#tell());
    return bell;
  }

  onRing(listener: () => void): void {
    this.#listeners.push(listener);
  }

  ring(): void {
    this.#tell();
    void this.bus.publish(this.subject, "").catch(() => {});
  }

  #tell(): void {
    for (const listen of this.#listeners) listen();
  }
}

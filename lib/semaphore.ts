/** A bounded number of places; who finds none waits in line. */
export class Slots {
  private readonly waiting: (() => void)[] = [];

  constructor(private free: number) {}

  /** Rejects with the signal's reason if that comes first. The place is held until it is disposed of. */
  async take(signal?: AbortSignal): Promise<Disposable> {
    signal?.throwIfAborted();
    if (this.free > 0) this.free--;
    else {
      await new Promise<void>((resolve, reject) => {
        const giveUp = () => {
          this.waiting.splice(this.waiting.indexOf(turn), 1);
          reject(signal?.reason);
        };
        const turn = () => {
          signal?.removeEventListener("abort", giveUp);
          resolve();
        };
        this.waiting.push(turn);
        signal?.addEventListener("abort", giveUp, { once: true });
      });
    }
    return { [Symbol.dispose]: () => this.release() };
  }

  private release(): void {
    const next = this.waiting.shift();
    if (next) next();
    else this.free++;
  }
}

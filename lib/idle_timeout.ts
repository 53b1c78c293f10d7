/** Aborts its signal after `ms` milliseconds without activity. */
export class IdleTimeout implements Disposable {
  private readonly lost = new AbortController();
  private timer: ReturnType<typeof setTimeout>;

  constructor(private readonly ms: number, private readonly reason: string) {
    this.timer = this.wait();
  }

  get signal(): AbortSignal {
    return this.lost.signal;
  }

  /** Restarts the timeout. */
  touch(): void {
    clearTimeout(this.timer);
    this.timer = this.wait();
  }

  /** Pauses the timeout until `touch`. */
  rest(): void {
    clearTimeout(this.timer);
  }

  [Symbol.dispose](): void {
    clearTimeout(this.timer);
  }

  private wait(): ReturnType<typeof setTimeout> {
    return setTimeout(() => this.lost.abort(new Error(this.reason)), this.ms);
  }
}

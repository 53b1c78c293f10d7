/** Aborts its signal when nothing was heard for so long. */
export class Patience implements Disposable {
  private readonly lost = new AbortController();
  private timer: ReturnType<typeof setTimeout>;

  constructor(private readonly ms: number, private readonly reason: string) {
    this.timer = this.wait();
  }

  get signal(): AbortSignal {
    return this.lost.signal;
  }

  /** Something was heard. */
  touch(): void {
    clearTimeout(this.timer);
    this.timer = this.wait();
  }

  /** Nothing is waited for, until `touch`. */
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

/** Simulated time: everything that happens is an event of one queue, so a seed determines a history. */

/** A process of the simulation. While it is frozen, its events wait; once it is dead, they are dropped. */
export interface Process {
  name: string;
  isDead: boolean;
  /** Until when nothing of it runs. */
  frozenUntil: number;
  /** Until when messages between its threads wait, as one of them is busy. */
  threadsBusyUntil: number;
  /** Its monotonic clock: `rate * now + offset`. */
  rate: number;
  offset: number;
  /** Added to its wall clock. */
  wallOffset: number;
}

interface Event {
  at: number;
  order: number;
  process: Process | undefined;
  run: () => void;
  isCancelled: boolean;
}

/** A chain of promises within one event may be this long. */
const MICROTASKS = 40;
const EPOCH_MS = 1_800_000_000_000;

export class SimulatedClock {
  now = 0;
  events = 0;
  #queue: Event[] = [];
  #order = 0;
  #current: Process | undefined;

  /** Runs the work later, in the process if it is given. */
  after(ms: number, process: Process | undefined, run: () => void): Event {
    const event = { at: this.now + Math.max(0, ms), order: this.#order++, process, run, isCancelled: false };
    push(this.#queue, event);
    return event;
  }

  /** Runs work of a process now. */
  within<T>(process: Process | undefined, work: () => T): T {
    const before = this.#current;
    this.#current = process;
    try {
      return work();
    } finally {
      this.#current = before;
    }
  }

  get current(): Process | undefined {
    return this.#current;
  }

  /** Lets this much time pass. */
  async run(ms: number): Promise<void> {
    const end = this.now + ms;
    for (let next = this.#queue[0]; next && next.at <= end; next = this.#queue[0]) {
      pop(this.#queue);
      if (next.isCancelled || next.process?.isDead) continue;
      if (next.process && next.process.frozenUntil > next.at) {
        push(this.#queue, { ...next, at: next.process.frozenUntil, isCancelled: false }, next);
        continue;
      }
      this.now = Math.max(this.now, next.at);
      this.events++;
      this.#current = next.process;
      next.run();
      for (let i = 0; i < MICROTASKS; i++) await undefined;
      this.#current = undefined;
    }
    this.now = end;
  }

  /** Replaces the runtime's clocks and timers until it is disposed of. */
  install(): Disposable {
    const { setTimeout, clearTimeout, setInterval, clearInterval } = globalThis;
    const now = performance.now;
    const wall = Date.now;
    Object.assign(globalThis, {
      setTimeout: (run: () => void, ms = 0) => this.after(ms, this.#current, run),
      clearTimeout: cancel,
      setInterval: (run: () => void, ms: number) => this.#repeat(run, ms),
      clearInterval: cancel,
    });
    performance.now = () => this.#monotonic();
    Date.now = () => EPOCH_MS + this.now + (this.#current?.wallOffset ?? 0);
    return {
      [Symbol.dispose]() {
        Object.assign(globalThis, { setTimeout, clearTimeout, setInterval, clearInterval });
        performance.now = now;
        Date.now = wall;
      },
    };
  }

  #monotonic(): number {
    const process = this.#current;
    return process ? this.now * process.rate + process.offset : this.now;
  }

  #repeat(run: () => void, ms: number): Event {
    const process = this.#current;
    const handle: Event = { at: 0, order: 0, process, run, isCancelled: false };
    const again = () => {
      if (handle.isCancelled) return;
      this.after(ms, process, again);
      run();
    };
    this.after(ms, process, again);
    return handle;
  }
}

function cancel(event: Event | undefined): void {
  if (event) event.isCancelled = true;
}

function isBefore(a: Event, b: Event): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}

/** A binary heap. `origin` is the event that this one continues: cancelling it cancels this one. */
function push(heap: Event[], event: Event, origin?: Event): void {
  if (origin) Object.defineProperty(event, "isCancelled", { get: () => origin.isCancelled });
  let i = heap.push(event) - 1;
  while (i > 0) {
    const parent = (i - 1) >> 1;
    if (!isBefore(heap[i]!, heap[parent]!)) return;
    [heap[i], heap[parent]] = [heap[parent]!, heap[i]!];
    i = parent;
  }
}

function pop(heap: Event[]): void {
  const last = heap.pop()!;
  if (heap.length === 0) return;
  heap[0] = last;
  for (let i = 0;;) {
    let least = i;
    for (const child of [2 * i + 1, 2 * i + 2]) {
      if (child < heap.length && isBefore(heap[child]!, heap[least]!)) least = child;
    }
    if (least === i) return;
    [heap[i], heap[least]] = [heap[least]!, heap[i]!];
    i = least;
  }
}

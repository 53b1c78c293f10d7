/** A listener that reconnects to the next node with its cursor whenever its connection ends, as a good client does. */
import { sleep } from "../../lib/sleep.ts";
import { Listener, type LiveEvent } from "./listener.ts";
import type { NodeProcess } from "./node_process.ts";
import type { Person } from "./person.ts";

const LOOK_MS = 10;
/** A frozen node accepts connections and says nothing. */
const HELLO_MS = 1_000;

export class SteadyListener implements AsyncDisposable {
  /** Post → when it was received first, and what it replies to. */
  readonly received = new Map<string, { at: number; replyTo: string | null }>();
  /** Post → the last counts received. */
  readonly likeCounts = new Map<string, number>();
  readonly replyCounts = new Map<string, number>();
  readonly doubled: string[] = [];
  /** Frames that came after a later one. */
  disordered = 0;
  /** Frames that show something of a page that is not for this listener. */
  readonly leaked: string[] = [];
  resets = 0;
  connections = 0;
  #cursor: string | undefined;
  #last = 0;
  #closed = false;
  #running: Promise<void>;

  /** `hiddenPage`: a page of which the person must receive nothing. */
  constructor(
    readonly person: Person,
    private readonly nodes: readonly NodeProcess[],
    first: number,
    private readonly hiddenPage?: string,
  ) {
    this.#running = this.#run(first);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    await this.#running;
  }

  async #run(first: number): Promise<void> {
    for (let i = first; !this.#closed; i++) {
      const listener = await this.#connect(this.nodes[i % this.nodes.length]!);
      if (!listener) {
        await sleep(LOOK_MS);
        continue;
      }
      this.connections++;
      while (listener.connected && !this.#closed) {
        this.#take(listener);
        await sleep(LOOK_MS);
      }
      this.#take(listener);
      listener.cut();
    }
  }

  async #connect(node: NodeProcess): Promise<Listener | undefined> {
    const opening = Listener.open(this.person.at(node), this.#cursor);
    const late = new AbortController();
    const listener = await Promise.race([
      opening.catch(() => undefined),
      sleep(HELLO_MS, late.signal).then(() => undefined),
    ]);
    late.abort();
    if (!listener) void opening.then((opened) => opened.cut(), () => {});
    return listener;
  }

  #take(listener: Listener): void {
    if (listener.wrong) throw listener.wrong;
    this.resets += listener.resets.splice(0).length;
    listener.frames.length = 0;
    for (const frame of listener.events.splice(0)) {
      if (frame.seq <= this.#last) this.disordered++;
      this.#last = frame.seq;
      if (this.hiddenPage !== undefined) {
        const text = JSON.stringify(frame);
        if (text.includes(this.hiddenPage)) this.leaked.push(text);
      }
      this.#takeContent(frame);
    }
    // Of frames that were taken: a connection that was given up too early may have had more.
    this.#cursor = listener.cursor ?? this.#cursor;
  }

  #takeContent({ type, at, data }: LiveEvent): void {
    if (type === "post.created" || type === "post.likes") this.likeCounts.set(data.id, data.like_count);
    if (type === "post.created" || type === "post.replies") this.replyCounts.set(data.id, data.reply_count);
    if (type !== "post.created") return;
    if (this.received.has(data.id)) this.doubled.push(data.id);
    else this.received.set(data.id, { at, replyTo: data.reply_to?.id ?? null });
  }
}

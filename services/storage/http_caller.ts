import { IdleTimeout } from "../../lib/idle_timeout.ts";
import { aborted, StorageError } from "./storage.ts";

/** Longer silence of the other side is its absence. */
const ANSWER_MS = 30_000;

/** Calls over connections of its own; what goes wrong on the way is `unavailable`, in the answer's body, too. */
export class HttpCaller implements Disposable {
  private readonly client = Deno.createHttpClient({});

  constructor(private readonly answerMs = ANSWER_MS) {}

  /** A body that is a stream touches `patience` at every chunk. */
  async ask(
    url: string | URL,
    init: RequestInit,
    patience = new IdleTimeout(this.answerMs, "No answer came in time"),
  ): Promise<Response> {
    const signal = init.signal ? AbortSignal.any([init.signal, patience.signal]) : patience.signal;
    try {
      const response = await fetch(url, { ...init, signal, client: this.client, redirect: "manual" });
      return response.body ? new Response(guarded(response.body, patience), response) : response;
    } catch (error) {
      if (init.signal?.aborted) throw aborted(init.signal);
      throw new StorageError("unavailable", "The storage is out of reach", error);
    } finally {
      patience.rest();
    }
  }

  /** For an upload, which may take long as a whole. */
  patience(): IdleTimeout {
    return new IdleTimeout(this.answerMs, "No answer came in time");
  }

  [Symbol.dispose](): void {
    this.client.close();
  }
}

/** How long the reader takes is not the storage's silence. */
function guarded(body: ReadableStream<Uint8Array>, patience: IdleTimeout): ReadableStream<Uint8Array<ArrayBuffer>> {
  const reader = body.getReader();
  return new ReadableStream({
    async pull(controller) {
      patience.touch();
      try {
        const { value, done } = await reader.read();
        if (done) controller.close();
        else controller.enqueue(value as Uint8Array<ArrayBuffer>);
      } catch (error) {
        throw new StorageError("unavailable", "The storage broke off", error);
      } finally {
        patience.rest();
      }
    },
    cancel: (reason) => reader.cancel(reason),
  }, { highWaterMark: 0 });
}

import { IdleTimeout } from "../../lib/idle_timeout.ts";
import { aborted, StorageError } from "./storage.ts";

/** After this time without data the other side counts as unavailable. */
const ANSWER_MS = 30_000;

/** HTTP calls over its own connections. Transport errors are `unavailable`, also in the body of a response. */
export class HttpCaller implements Disposable {
  private readonly client = Deno.createHttpClient({});

  constructor(private readonly answerMs = ANSWER_MS) {}

  /** A streamed body touches the timeout at every chunk. */
  async ask(
    url: string | URL,
    init: RequestInit,
    idleTimeout = new IdleTimeout(this.answerMs, "No answer in time"),
  ): Promise<Response> {
    const signal = init.signal ? AbortSignal.any([init.signal, idleTimeout.signal]) : idleTimeout.signal;
    try {
      const response = await fetch(url, { ...init, signal, client: this.client, redirect: "manual" });
      return response.body ? new Response(guarded(response.body, idleTimeout), response) : response;
    } catch (error) {
      if (init.signal?.aborted) throw aborted(init.signal);
      throw new StorageError("unavailable", "The storage is unavailable", error);
    } finally {
      idleTimeout.rest();
    }
  }

  /** For an upload, which may take long in total. */
  idleTimeout(): IdleTimeout {
    return new IdleTimeout(this.answerMs, "No answer in time");
  }

  [Symbol.dispose](): void {
    this.client.close();
  }
}

/** Time spent by the reader does not count as silence of the storage. */
function guarded(body: ReadableStream<Uint8Array>, idleTimeout: IdleTimeout): ReadableStream<Uint8Array<ArrayBuffer>> {
  const reader = body.getReader();
  return new ReadableStream({
    async pull(controller) {
      idleTimeout.touch();
      try {
        const { value, done } = await reader.read();
        if (done) controller.close();
        else controller.enqueue(value as Uint8Array<ArrayBuffer>);
      } catch (error) {
        throw new StorageError("unavailable", "The storage aborted the response", error);
      } finally {
        idleTimeout.rest();
      }
    },
    cancel: (reason) => reader.cancel(reason),
  }, { highWaterMark: 0 });
}

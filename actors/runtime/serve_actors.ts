import { AppError } from "../../lib/errors.ts";
import type { Log } from "../../lib/log.ts";
import { continued } from "../../lib/tracing.ts";
import type { ActorRouter } from "./router.ts";
import type { Bus, Subscription } from "../../lib/bus/bus.ts";
import type { Refusal, Reply } from "./protocol.ts";
import { actorsSubject, type Answered, type Question } from "./remote_actors.ts";

export interface ServeOptions {
  bus: Bus;
  history: string;
  actors: ActorRouter;
  /** This node's event stream. */
  stream: { readonly position: number; applied(seq: number): Promise<void> };
  log: Log;
}

/** Serves nodes without actors until the subscription ends. */
export async function serveActors(options: ServeOptions): Promise<Subscription> {
  const { bus, history, stream } = options;
  return await bus.serve(actorsSubject(history), async (message) => {
    const question = JSON.parse(message) as Question;
    const reply: Reply = question.type === "reach"
      ? { ok: true, value: null }
      : await continued(question.origin, () => answer(question, options));
    return JSON.stringify({ reply, seq: stream.position } satisfies Answered);
  });
}

async function answer(
  { ref, command, receipt, leftMs, after }: Extract<Question, { type: "ask" }>,
  { actors, stream, log }: ServeOptions,
): Promise<Reply> {
  const deadline = performance.now() + leftMs;
  try {
    await stream.applied(after);
    // The caller knows events that these actors do not have yet, so an answer might be older than what it has seen.
    if (stream.position < after) {
      throw new AppError("overloaded", "The actors lag behind; try again", { retryAfter: 1 });
    }
    return { ok: true, value: await actors.ask(ref, command, { timeoutMs: deadline - performance.now(), receipt }) };
  } catch (error) {
    if (error instanceof AppError) return { ok: false, refusal: refusalOf(error) };
    log.error("call from another node failed", { ref, error });
    return { ok: false, refusal: { code: "internal" } };
  }
}

function refusalOf({ code, message, errors, retryAfter }: AppError): Refusal {
  return {
    code,
    detail: message,
    ...(errors === undefined ? {} : { errors }),
    ...(retryAfter === undefined ? {} : { retryAfter }),
  };
}

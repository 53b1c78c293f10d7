/**
 * Spans of OpenTelemetry, exported by Deno itself if `OTEL_DENO` is set. Code asks `TRACING` before it calls anything
 * here, so that without it tracing costs nothing.
 */
import { type Attributes, context, ROOT_CONTEXT, type Span, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import { AppError } from "./errors.ts";
import { currentRequest, partsOf, receivedContext, type RequestContext, withRequest } from "./request_context.ts";

/** Deno registers its exporter there before the program starts. Reading it needs no permission. */
const REGISTERED = Symbol.for("opentelemetry.js.api.1");
export const TRACING: boolean = (globalThis as { [REGISTERED]?: { trace?: unknown } })[REGISTERED]?.trace !== undefined;

const tracer = trace.getTracer("rookery");

/** A span without code of its own, as for one of several turns that share a statement. */
export interface Part {
  /** Its place, as the parent of other spans. */
  readonly traceparent: string;
  end(error?: unknown): void;
}

/** Runs work in a span below the current one. */
export function inSpan<T>(name: string, attributes: Attributes, work: () => Promise<T>, kind: Kind = "internal") {
  return tracer.startActiveSpan(name, { kind: KINDS[kind], attributes }, async (span): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      fail(span, error);
      throw error;
    } finally {
      span.end();
    }
  });
}

/** Begins a span below another one, which may be of another thread or node. */
export function beginPart(parent: string, name: string, attributes: Attributes, kind: Kind = "internal"): Part {
  const span = tracer.startSpan(name, { kind: KINDS[kind], attributes }, contextOf(parent));
  return {
    traceparent: traceparentOf(span),
    end: (error) => {
      if (error !== undefined) fail(span, error);
      span.end();
    },
  };
}

/** Runs work as a child of a span, or without a parent if there is none. */
export function below<T>(traceparent: string | undefined, work: () => T): T {
  return context.with(traceparent === undefined ? ROOT_CONTEXT : contextOf(traceparent), work);
}

/** Whether there is a span that new ones would be below. */
export function isTraced(): boolean {
  return trace.getActiveSpan() !== undefined;
}

/** Names the span that Deno has begun for a request by its route. */
export function nameRequest(method: string, route: string): void {
  trace.getActiveSpan()?.updateName(`${method} ${route}`).setAttribute("http.route", route);
}

/** The context of a received request: its caller's ids, and the span that Deno has begun for it. */
export function received(headers: Headers): RequestContext {
  const request = receivedContext(headers);
  const span = TRACING ? trace.getActiveSpan() : undefined;
  return span ? { ...request, traceparent: traceparentOf(span) } : request;
}

/** Headers for a request to another service of the installation. With `TRACING`, Deno adds the `traceparent`. */
export function outgoingHeaders(): Record<string, string> {
  const request = currentRequest();
  if (!request) return {};
  const { id, traceparent } = request;
  return { "x-request-id": id, ...(TRACING || traceparent === undefined ? {} : { traceparent }) };
}

/** The context to send with a message to another thread or node. Undefined outside of requests. */
export function carried(): RequestContext | undefined {
  const request = currentRequest();
  if (!TRACING || !request) return request;
  const span = trace.getActiveSpan();
  return span ? { id: request.id, traceparent: traceparentOf(span) } : request;
}

/** Continues the request of a received message. */
export function continued<T>(request: RequestContext | undefined, work: () => T): T {
  return withRequest(request, TRACING ? () => below(request?.traceparent, work) : work);
}

/** Runs work that is not part of the current request, though the request has started it. */
export function apart<T>(work: () => T): T {
  return continued(undefined, work);
}

type Kind = "internal" | "client" | "server";
const KINDS: Record<Kind, SpanKind> = {
  internal: SpanKind.INTERNAL,
  client: SpanKind.CLIENT,
  server: SpanKind.SERVER,
};

function contextOf(traceparent: string) {
  const parts = partsOf(traceparent);
  return parts ? trace.setSpanContext(ROOT_CONTEXT, { ...parts, isRemote: true }) : ROOT_CONTEXT;
}

function traceparentOf(span: Span): string {
  const { traceId, spanId, traceFlags } = span.spanContext();
  return `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, "0")}`;
}

/** A refusal is an answer, not an error of the program. */
function fail(span: Span, error: unknown): void {
  if (error instanceof AppError) span.setAttribute("rookery.problem", error.code);
  else span.setStatus({ code: SpanStatusCode.ERROR, message: error instanceof Error ? error.message : String(error) });
}

import { AsyncLocalStorage } from "node:async_hooks";

/** The context of a request, passed on between threads and nodes. */
export interface RequestContext {
  /** `X-Request-Id`. */
  readonly id: string;
  /** Its place in a trace (W3C Trace Context): of the current span, or as received. */
  readonly traceparent?: string | undefined;
}

/** Longer ids of callers are replaced (`docs/limits.md`). */
const MAX_ID_LENGTH = 128;
const ID = /^[\w.:@/+=-]+$/;
/** Versions after 00 may have more parts, which are not used. */
const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:$|-)/;
const MAX_TRACEPARENT_LENGTH = 256;
const PREFIX = crypto.randomUUID().slice(0, 8);

const storage = new AsyncLocalStorage<RequestContext | undefined>();
let requests = 0;

/** Undefined outside of requests. */
export function currentRequest(): RequestContext | undefined {
  return storage.getStore();
}

/** The id of the current request, or a new one. It finds the request in the log. */
export function currentRequestId(): string {
  return storage.getStore()?.id ?? newRequestId();
}

/** Runs work in the context of a request, including work that it starts without waiting. */
export function withRequest<T>(context: RequestContext | undefined, work: () => T): T {
  return storage.run(context, work);
}

/** The context of a received request: the ids of its caller, if they are valid. */
export function receivedContext(headers: Headers): RequestContext {
  const id = headers.get("x-request-id");
  const traceparent = headers.get("traceparent");
  return {
    id: id !== null && id.length <= MAX_ID_LENGTH && ID.test(id) ? id : newRequestId(),
    traceparent: traceparent !== null && partsOf(traceparent) ? traceparent : undefined,
  };
}

/** Undefined for a text that is no valid `traceparent`. */
export function partsOf(traceparent: string): { traceId: string; spanId: string; traceFlags: number } | undefined {
  if (traceparent.length > MAX_TRACEPARENT_LENGTH) return undefined;
  const [, traceId, spanId, flags] = TRACEPARENT.exec(traceparent) ?? [];
  return traceId === undefined ? undefined : { traceId, spanId: spanId!, traceFlags: Number.parseInt(flags!, 16) };
}

/** Unique across processes. */
function newRequestId(): string {
  return `${PREFIX}-${(++requests).toString(36)}`;
}

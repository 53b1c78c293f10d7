import type { VkToken } from "./token.ts";

/** No response, or none from VK. The message contains neither the token nor the request. */
export class Unreachable extends Error {
  override readonly name = "Unreachable";
}

/** A response of VK: a result, for `execute` possibly with errors of inner calls, or an error. */
export type Envelope =
  | { response: unknown; execute_errors?: unknown }
  | { error: Readonly<Record<string, unknown>> };

export interface Sent {
  method: string;
  form: URLSearchParams;
  token: VkToken;
  /** Whether it may be sent twice. */
  repeatable: boolean;
}

/** Maximum length of a response, in bytes. */
const MAX_BODY_BYTES = 6 * 1024 * 1024;

/** One exchange with VK: a POST form, with the token in a header only. */
export class Transport implements Disposable {
  private readonly pooled = Deno.createHttpClient({});
  /**
   * On a reused connection that breaks, the platform repeats the request by itself: not acceptable for calls with
   * effects.
   */
  private readonly fresh = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
  private readonly closed = new AbortController();

  constructor(private readonly url: string) {}

  /** Throws `Unreachable`. An envelope counts whatever its HTTP status. */
  async send(
    { method, form, token, repeatable }: Sent,
    timeoutMs: number,
  ): Promise<Envelope> {
    let status: number, text: string;
    try {
      const response = await fetch(`${this.url}/method/${method}`, {
        method: "POST",
        headers: { authorization: `Bearer ${token.reveal()}` },
        body: form,
        // The token must not be sent elsewhere.
        redirect: "manual",
        signal: AbortSignal.any([AbortSignal.timeout(timeoutMs), this.closed.signal]),
        client: repeatable ? this.pooled : this.fresh,
      });
      status = response.status;
      if (status >= 300 && status < 400) {
        await response.body?.cancel();
        throw new Unreachable(redirection(response.headers.get("location"), this.url));
      }
      text = await read(response);
    } catch (error) {
      if (error instanceof Unreachable) throw error;
      const late = error instanceof DOMException && error.name === "TimeoutError";
      throw new Unreachable(late ? `VK did not answer within ${timeoutMs} ms` : "The connection to VK broke");
    }
    const envelope = envelopeOf(text);
    if (envelope) return envelope;
    throw new Unreachable(status >= 500 ? `VK answered with status ${status}` : "The response is not from VK");
  }

  [Symbol.dispose](): void {
    this.closed.abort(new Unreachable("The process is stopping"));
    this.pooled.close();
    this.fresh.close();
  }
}

/** Only the host: a query may contain secrets. */
function redirection(location: string | null, from: string): string {
  const host = URL.parse(location ?? "", from)?.host;
  return host ? `VK redirects to "${host}"; if that is VK, name it in VK_API_URL` : "VK redirects to nowhere";
}

async function read(response: Response): Promise<string> {
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.byteLength;
    if (size > MAX_BODY_BYTES) throw new Unreachable("VK's response is too long");
    chunks.push(chunk);
  }
  return await new Blob(chunks).text();
}

function envelopeOf(text: string): Envelope | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text, exactly);
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  const { error } = value as { error?: unknown };
  if (typeof error === "object" && error !== null) return { error: error as Record<string, unknown> };
  return Object.hasOwn(value, "response") ? value as { response: unknown } : undefined;
}

/** VK uses integers above 2⁵³; they stay as written. */
function exactly(_key: string, value: unknown, context?: { source?: string }): unknown {
  return typeof value === "number" && Number.isInteger(value) && !Number.isSafeInteger(value)
    ? context?.source ?? value
    : value;
}

import { z } from "zod";

/** What a handler returns. */
export interface Answer {
  status: number;
  /** JSON to send, serialised or not. */
  body?: unknown;
  json?: string;
  /** Bytes to send; type and caching are in `headers`. */
  stream?: ReadableStream<Uint8Array> | null;
  headers?: Record<string, string>;
  next_cursor?: string | null;
  /** With `guesses`: the secret belonged to another account, so earlier wrong guesses still count. */
  otherSecret?: boolean;
}

export function answer(status: number, body?: unknown, headers?: Record<string, string>): Answer {
  return { status, body, ...(headers && { headers }) };
}

export function answerText(status: number, json: string, next_cursor: string | null): Answer {
  return { status, json, next_cursor };
}

export function listOf<T extends z.ZodType>(item: T) {
  return z.object({ items: z.array(item), next_cursor: z.string().nullable() });
}

import { AppError } from "../../lib/errors.ts";
import type { Answer } from "./answer.ts";
import { type Idempotency, validKey } from "./idempotency.ts";

/** Runs the handler once per key and body. */
export async function once<I extends { receipt: { id: string; result?: unknown } | undefined }>(
  idempotency: Idempotency,
  key: string,
  bodyMac: string,
  scope: string,
  input: I,
  handler: (input: I) => Promise<Answer> | Answer,
): Promise<Answer> {
  if (!validKey(key)) {
    throw new AppError("validation", undefined, {
      errors: [{ path: "Idempotency-Key", rule: "format", message: "Expected 1 to 128 visible ASCII characters" }],
    });
  }
  const begun = await idempotency.begin({ scope, key, bodyMac });
  if ("replay" in begun) {
    const { status, location, body } = begun.replay;
    const headers = { "Idempotency-Replayed": "true", ...(location ? { Location: location } : {}) };
    return { status, headers, ...(body === null ? {} : { json: body }) };
  }
  const { receipt } = begun;
  try {
    const answered = await handler({ ...input, receipt });
    const json = answered.json ?? (answered.body === undefined ? null : JSON.stringify(answered.body));
    await idempotency.finish(receipt.id, {
      status: answered.status,
      location: answered.headers?.["Location"] ?? null,
      body: json,
    });
    return { ...answered, ...(json === null ? {} : { json }) };
  } catch (error) {
    await idempotency.release(receipt.id, error).catch(() => {});
    throw error;
  }
}

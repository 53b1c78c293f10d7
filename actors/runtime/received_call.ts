import { KIND_NAMES } from "./protocol.ts";
import { isCanonical } from "./ref.ts";

type Fields = Readonly<Record<string, unknown>>;

const CHECKS: Readonly<Record<string, (value: unknown) => boolean>> = {
  id: isText,
  to: isText,
  ref: (ref) => isObject(ref) && KIND_NAMES.some((kind) => kind === ref["kind"]) && isCanonical(ref["id"]),
  command: (command) => isObject(command) && isText(command["type"]),
  receipt: isOptionalText,
  origin: (origin) =>
    origin === undefined || (isObject(origin) && isText(origin["id"]) && isOptionalText(origin["traceparent"])),
  deadline: Number.isFinite,
  after: Number.isSafeInteger,
};

/**
 * The first malformed field of what should be a `NodeCall`, or undefined. Another version may send kinds and fields
 * that this one does not know. The fields of the command are not checked.
 */
export function malformedField(received: unknown): string | undefined {
  if (!isObject(received)) return "call";
  return Object.keys(CHECKS).find((name) => !CHECKS[name]!(received[name]));
}

export function isObject(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isText(value: unknown): boolean {
  return typeof value === "string";
}

function isOptionalText(value: unknown): boolean {
  return value === undefined || typeof value === "string";
}

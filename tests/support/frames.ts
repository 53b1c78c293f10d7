/** Holds every frame that a test hears against the schemas that the service declares. */
import assert from "node:assert/strict";
import { CloseCode, FRAMES, type FrameType } from "../../live/frame_schemas.ts";

export function checkFrame(frame: { type: string }): void {
  const schema = Object.hasOwn(FRAMES, frame.type) ? FRAMES[frame.type as FrameType] : undefined;
  assert.ok(schema, `no schema for a frame of the type ${frame.type}`);
  const { error } = schema.safeParse(frame);
  assert.equal(error, undefined, `a frame of the type ${frame.type}: ${error?.message} in ${JSON.stringify(frame)}`);
}

/** A code of the service's own, or one with which a socket ends without a word. */
export function isDeclaredClose(code: number): boolean {
  return CloseCode.safeParse(code).success || [1000, 1001, 1005, 1006].includes(code);
}

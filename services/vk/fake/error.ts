/** A VK error (`error_code`, `error_msg`), with the extra fields of some codes. */
export class FakeError extends Error {
  constructor(readonly code: number, message: string, readonly extras: Readonly<Record<string, unknown>> = {}) {
    super(message);
  }
}

export const invalidToken = (why: string) => new FakeError(5, `User authorization failed: ${why}.`);

/** VK's messages for the codes that can be injected. */
export const WORDS: Readonly<Record<number, string>> = {
  1: "Unknown error occurred",
  2: "Application is disabled. Enable your application or use test mode",
  5: "User authorization failed: invalid access_token (4).",
  6: "Too many requests per second",
  7: "Permission to perform this action is denied",
  9: "Flood control",
  10: "Internal server error: could not check access_token now, check later.",
  13: "Runtime error occurred during code invocation: response size is too big",
  15: "Access denied",
  18: "User was deleted or banned",
  19: "Content blocked",
  23: "This method was disabled",
  29: "Rate limit reached",
  30: "This profile is private",
};

/** Several texts in one message: of the requests, or the replies, that are sent in one turn of the event loop. */

/** A text with the number of its request. */
export interface Frame {
  token: number;
  text: string;
}

export function joinFrames(frames: readonly Frame[]): string {
  return frames.map(({ token, text }) => `${token} ${text.length}\n${text}`).join("");
}

/** Throws for a text that is not of `joinFrames`. */
export function splitFrames(joined: string): Frame[] {
  const frames: Frame[] = [];
  for (let at = 0; at < joined.length;) {
    const end = joined.indexOf("\n", at);
    const [token, length] = joined.slice(at, end).split(" ").map(Number);
    if (end < 0 || !isCount(token) || !isCount(length)) throw new Error("Malformed frames");
    at = end + 1 + length;
    if (at > joined.length) throw new Error("A frame is cut off");
    frames.push({ token, text: joined.slice(end + 1, at) });
  }
  return frames;
}

/** A negative length would lead backwards, again and again. */
function isCount(n: number | undefined): n is number {
  return Number.isSafeInteger(n) && n! >= 0;
}

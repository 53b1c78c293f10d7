/** The maximum length of a line, in characters. The processes never send more. */
const MAX_LINE_LENGTH = 65_536;

/** The lines of a stream, without an incomplete last one. Throws if a line is too long. */
export async function* lines(stream: ReadableStream<Uint8Array>): AsyncGenerator<string, void> {
  let text = "";
  for await (const chunk of stream.pipeThrough(new TextDecoderStream() as TransformStream<Uint8Array, string>)) {
    const whole = (text + chunk).split("\n");
    text = whole.pop()!;
    if (text.length > MAX_LINE_LENGTH) throw new Error(`Expected at most ${MAX_LINE_LENGTH} characters in a line`);
    yield* whole;
  }
}

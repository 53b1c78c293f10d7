/** Longer ones are not what these processes say to each other, in characters. */
const MAX_LINE_LENGTH = 65_536;

/** The lines of a stream, without what follows the last line's end. Throws when one is too long. */
export async function* lines(stream: ReadableStream<Uint8Array>): AsyncGenerator<string, void> {
  let text = "";
  for await (const chunk of stream.pipeThrough(new TextDecoderStream() as TransformStream<Uint8Array, string>)) {
    const whole = (text + chunk).split("\n");
    text = whole.pop()!;
    if (text.length > MAX_LINE_LENGTH) throw new Error(`A line has at most ${MAX_LINE_LENGTH} characters`);
    yield* whole;
  }
}

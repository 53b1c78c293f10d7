/** A VK token that shows itself to nobody by accident: no log line, no message, no JSON holds it. */
export class VkToken {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  /** For the header of a call, and for the seal it is kept under. */
  reveal(): string {
    return this.#value;
  }

  /** Whatever VK says, a token in it is no news to anybody. */
  cutFrom(text: string): string {
    return text.replaceAll(this.#value, "…").replaceAll(encodeURIComponent(this.#value), "…");
  }

  toString(): string {
    return "[a VK token]";
  }
  toJSON(): string {
    return this.toString();
  }
}

/** A VK token that cannot be printed by accident: it is not in logs, messages or JSON. */
export class VkToken {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  /** For the header of a call, and for encryption. */
  reveal(): string {
    return this.#value;
  }

  /** Removes the token from a text of VK. */
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

import { FakeError } from "./error.ts";

/** The parameters of a method, as text from a form or as values from a script. */
export class Params {
  constructor(private readonly given: ReadonlyMap<string, string>, private readonly namesParameter: boolean) {}

  text(name: string): string | undefined {
    return this.given.get(name) || undefined;
  }

  list(name: string): string[] {
    return (this.given.get(name) ?? "").split(",").map((part) => part.trim()).filter((part) => part !== "");
  }

  whole(name: string, { least, most, standard }: { least: number; most: number; standard: number }): number {
    const value = this.integer(name) ?? standard;
    if (value < least || value > most) throw this.wrong(name);
    return value;
  }

  integer(name: string): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    if (!/^-?\d{1,15}$/.test(text)) throw this.wrong(name);
    return Number(text);
  }

  wrong(name: string, how = "is invalid"): FakeError {
    const words = "One of the parameters specified was missing or invalid";
    return new FakeError(100, this.namesParameter ? `${words}: ${name} ${how}` : words);
  }
}

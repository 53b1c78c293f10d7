/** Kinds of argument that the library does not have. */
import { message, text } from "@optique/core/message";
import type { ValueParser } from "@optique/core/valueparser";

/** A folder; the shell completes its name. A slash at its end does not count. */
export function folder(): ValueParser<"sync", string> {
  return {
    mode: "sync",
    metavar: "FOLDER",
    placeholder: "",
    parse: (input) =>
      input === ""
        ? { success: false, error: message`Expected the name of a folder, got an empty text.` }
        : { success: true, value: input.replace(/(.)\/+$/, "$1") },
    format: (value) => value,
    *suggest(prefix) {
      yield { kind: "file", type: "directory", pattern: prefix };
    },
  };
}

/** The address of a server, without a slash at its end. */
export function serverUrl(): ValueParser<"sync", string> {
  return {
    mode: "sync",
    metavar: "URL",
    placeholder: "",
    parse: (input) =>
      /^https?:$/.test(URL.parse(input)?.protocol ?? "")
        ? { success: true, value: input.replace(/\/+$/, "") }
        : { success: false, error: message`Expected http:// or https://, got ${input}.` },
    format: (value) => value,
  };
}

/** A duration in seconds or minutes, such as `15s`; its text stays, for help. */
export function seconds(): ValueParser<"sync", string> {
  return {
    mode: "sync",
    metavar: "DURATION",
    placeholder: "",
    parse: (input) =>
      /^0*[1-9]\d{0,5}[sm]$/.test(input)
        ? { success: true, value: input }
        : { success: false, error: message`Expected a duration such as 15s or 2m, got ${input}.` },
    format: (value) => value,
  };
}

/** The milliseconds of such a duration. */
export function millisecondsOf(duration: string): number {
  return parseInt(duration) * (duration.endsWith("m") ? 60_000 : 1_000);
}

/** The text of a JSON value, as it is: parsing would round its numbers. */
export function jsonText(): ValueParser<"sync", string> {
  return {
    mode: "sync",
    metavar: "JSON",
    placeholder: "null",
    parse: (input) => {
      try {
        JSON.parse(input);
        return { success: true, value: input };
      } catch {
        const quoted = `'${JSON.stringify(input)}'`;
        const hint = `${input} is no JSON; if it is meant as a text, quote it for the shell too: ${quoted}`;
        return { success: false, error: [text(hint)] };
      }
    },
    format: (value) => value,
  };
}

import { z } from "zod";

/** What people write and others see: every script stays, but nothing may be invisible as a whole or disturb what stands beside it. */

/** Embeddings, overrides and isolates, and their deprecated kin: they turn the direction of what follows (Unicode TR9 §2). */
const TURNS_DIRECTION = /[\u202a-\u202e\u2066-\u206f]/;
const LINE_BREAK = /[\n\v\f\r\u0085\u2028\u2029]/;
/** A tab and a line feed are ordinary in a text of several lines. */
const CONTROL = /(?![\t\n\r])\p{Cc}/u;
/** Not a blank Braille cell or a fill of Hangul, nor marks alone. */
const VISIBLE = /[[\p{L}\p{N}\p{P}\p{S}]--[\p{Default_Ignorable_Code_Point}\u2800\u{1d159}]]/v;
/**
 * LRM, RLM and ALM (U+200E, U+200F, U+061C) turn nothing by themselves: they act as a letter of their script does, and Hebrew and
 * Arabic need them beside signs. At the edges they would only act on what stands outside, so they go there, as white space does.
 */
const EDGES = /^[\s\u200e\u200f\u061c]+|[\s\u200e\u200f\u061c]+$/g;

interface TextRules {
  /** In UTF-16 units, as JSON Schema readers and databases' clients count them. */
  max: number;
  lines: "one" | "many";
  /** Whether there may be nothing. */
  optional?: boolean;
}

/** A name, a place, a reason: with at least one visible character, and nothing that turns the direction of what follows. */
export function shownText({ max, lines, optional = false }: TextRules) {
  // The first limit holds before anything else is done with it.
  return z.string().max(4 * max).transform((value) => value.replaceAll(EDGES, "")).pipe(
    z.string().min(optional ? 0 : 1).max(max).superRefine((value, check) => {
      const refuse = (rule: string, message: string) => check.addIssue({ code: "custom", message, params: { rule } });
      if (lines === "one" && LINE_BREAK.test(value)) refuse("line_break", "Expected one line");
      else if (CONTROL.test(value) || lines === "one" && value.includes("\t")) {
        refuse("control_character", "Expected no control characters");
      }
      if (value !== "" && !VISIBLE.test(value)) refuse("visible", "Expected at least one visible character");
      if (TURNS_DIRECTION.test(value)) {
        refuse(
          "direction",
          "Expected no characters that turn the direction of the text (U+202A to U+202E, U+2066 to U+206F)",
        );
      }
    }),
  );
}

import { z } from "zod";

/**
 * Rules for text that other people see. Every script is allowed, but text must be visible and must not affect the text
 * around it.
 */

/**
 * Embeddings, overrides, isolates and their deprecated variants: they change the direction of the text after them
 * (Unicode TR9 §2).
 */
const TURNS_DIRECTION = /[\u202a-\u202e\u2066-\u206f]/;
const LINE_BREAK = /[\n\v\f\r\u0085\u2028\u2029]/;
/** Tab and line feed are allowed in text of several lines. */
const CONTROL = /(?![\t\n\r])\p{Cc}/u;
/** Not a blank Braille cell, a Hangul filler, or only marks. */
const VISIBLE = /[[\p{L}\p{N}\p{P}\p{S}]--[\p{Default_Ignorable_Code_Point}\u2800\u{1d159}]]/v;
/**
 * LRM, RLM and ALM (U+200E, U+200F, U+061C) act like a letter of their script; Hebrew and Arabic need them beside
 * punctuation. At the edges they would affect only the text around, so they are trimmed like white space.
 */
const EDGES = /^[\s\u200e\u200f\u061c]+|[\s\u200e\u200f\u061c]+$/g;

interface TextRules {
  /** In UTF-16 units, as JSON Schema validators and most clients count. */
  max: number;
  lines: "one" | "many";
  /** Whether the text may be empty. */
  optional?: boolean;
}

/** A name, a place or a reason: visible, and without characters that change the direction of the text. */
export function shownText({ max, lines, optional = false }: TextRules) {
  // This limit applies before any other work.
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

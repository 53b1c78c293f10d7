/** Query parameters: each at most once, numbers in plain digits, no unknown ones. */
import { z } from "zod";
import { AppError } from "../../lib/errors.ts";
import { storable, unstorable, validated } from "../../contract/body.ts";

const DIGITS = "digits";

/** A number in plain decimal digits. Other notations are rejected. */
export function decimal(min: number, max: number) {
  return z.string().superRefine((text, context) => {
    if (/^\d{1,15}$/.test(text)) return;
    context.addIssue({ code: "custom", message: "Expected decimal digits", params: { rule: DIGITS } });
  }).transform(Number).pipe(z.int().min(min).max(max)).meta({ type: "integer", minimum: min, maximum: max });
}

/** The query of every list. */
export const paging = {
  limit: decimal(1, 100).default(20),
  cursor: z.string().min(1).max(512).optional(),
};

export const NO_QUERY = z.strictObject({});

export function queried<Q extends z.ZodObject>(schema: Q, url: string): z.output<Q> {
  if (!url.includes("?")) return validated(schema, {});
  const query = parametersOf(url);
  for (const [name, value] of Object.entries(query)) if (!storable(value) || !storable(name)) throw unstorable(name);
  try {
    return validated(schema, query);
  } catch (error) {
    // For a value that is not a number, only the format error is useful.
    const errors = error instanceof AppError ? error.errors?.filter(({ rule }) => rule === DIGITS) : undefined;
    throw errors?.length ? new AppError("invalid-query", undefined, { errors }) : error;
  }
}

/** The query's parameters. Throws `invalid-query` that names repeated ones. */
export function parametersOf(url: string): Record<string, string> {
  const at = url.indexOf("?");
  const pairs = at < 0 ? [] : [...new URLSearchParams(url.slice(at + 1))];
  const query = Object.fromEntries(pairs);
  if (Object.keys(query).length === pairs.length) return query;
  const again = new Set(
    pairs.filter(([name], i) => pairs.findIndex(([first]) => first === name) < i).map(([name]) => name),
  );
  const errors = [...again].slice(0, 20).map((path) => ({
    path: path.slice(0, 200),
    rule: "repeated",
    message: "Expected each parameter once",
  }));
  throw new AppError("invalid-query", undefined, { errors });
}

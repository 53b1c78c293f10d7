import { PROBLEMS } from "../lib/errors.ts";

/** A Markdown table of every problem, for `docs/api.md`. */
export function problemsTable(): string {
  const rows = Object.entries(PROBLEMS).map(([slug, [status, title]]) => `| \`${slug}\` | ${status} | ${title} |`);
  return ["| Slug | Status | Meaning |", "| --- | --- | --- |", ...rows].join("\n");
}

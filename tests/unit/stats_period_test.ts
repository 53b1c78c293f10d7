import assert from "node:assert/strict";
import { AppError } from "../../lib/errors.ts";
import { periodOf, statsOf } from "../../services/stats/period.ts";
import { nothing } from "../../services/stats/store.ts";

const NOW = Date.parse("2026-03-01T00:30:00Z");

const PERIODS: [string, { from?: string; to?: string }, [string, string]][] = [
  ["no dates", {}, ["2026-01-31", "2026-03-01"]],
  ["only its first day", { from: "2026-02-01" }, ["2026-02-01", "2026-03-01"]],
  ["only its last day", { to: "2025-12-31" }, ["2025-12-02", "2025-12-31"]],
  ["one day", { from: "2024-02-29", to: "2024-02-29" }, ["2024-02-29", "2024-02-29"]],
  ["a leap year", { from: "2024-01-01", to: "2024-12-31" }, ["2024-01-01", "2024-12-31"]],
  ["today alone", { from: "2026-03-01" }, ["2026-03-01", "2026-03-01"]],
  ["the first days of the epoch", { to: "1970-01-02" }, ["1970-01-01", "1970-01-02"]],
];
for (const [what, asked, [from, to]] of PERIODS) {
  Deno.test(`A period with ${what} is ${from} to ${to}`, () => {
    assert.deepEqual(periodOf(asked, NOW), { from, to });
  });
}

for (
  const [asked, field] of [
    [{ from: "2026-02-02", to: "2026-02-01" }, "to"],
    [{ from: "2025-01-01", to: "2026-01-02" }, "from"],
    [{ from: "2025-01-01" }, "from"],
    [{ from: "2026-03-02" }, "from"],
    [{ to: "2026-03-02" }, "to"],
  ] as const
) {
  Deno.test(`A period of ${JSON.stringify(asked)} is rejected for its ${field}`, () => {
    assert.throws(
      () => periodOf(asked, NOW),
      (error) => error instanceof AppError && error.code === "validation" && error.errors?.[0]?.path === field,
    );
  });
}

Deno.test("A day has the count at its end, growth covers the period only, and a total is the count", () => {
  const likes = (count: number) => ({ ...nothing(), likes: count });
  const { totals, growth, daily } = statsOf({ from: "2026-02-28", to: "2026-03-02" }, {
    before: likes(10),
    days: new Map([["2026-02-28", likes(3)], ["2026-03-02", likes(-4)], ["after", likes(99)]]),
    after: likes(7),
  });
  assert.deepEqual(daily.map(({ date, likes }) => [date, likes]), [
    ["2026-02-28", 13],
    ["2026-03-01", 13],
    ["2026-03-02", 9],
  ]);
  assert.deepEqual([totals.likes, growth.likes, totals.posts], [16, -1, 0]);
});

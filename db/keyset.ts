export interface After {
  at: string;
  id: string;
}

/**
 * SQL for a time as a cursor has it: with microseconds, which other times leave out. A cursor without them would repeat
 * or skip rows of the same millisecond.
 */
export function exactTime(column: string): string {
  return `to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;
}

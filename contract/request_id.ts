const PREFIX = crypto.randomUUID().slice(0, 8);
let requests = 0;

/** Unique over all processes: an operator finds the request in the log by it. */
export function newRequestId(): string {
  return `${PREFIX}-${(++requests).toString(36)}`;
}

const PREFIX = crypto.randomUUID().slice(0, 8);
let requests = 0;

/** Unique across processes. It finds the request in the log. */
export function newRequestId(): string {
  return `${PREFIX}-${(++requests).toString(36)}`;
}

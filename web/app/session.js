/** The session of this page and its calls to the public API. Tokens are in sessionStorage, so they end with the tab. */
export const API = "/api/v1";

/** The account; undefined if nobody is signed in. */
export let account;

export function setAccount(known) {
  account = known;
}

export function tokens() {
  return JSON.parse(sessionStorage.getItem("tokens") ?? "null");
}

export function keepTokens(pair) {
  if (pair) sessionStorage.setItem("tokens", JSON.stringify(pair));
  else sessionStorage.removeItem("tokens");
}

/** One person's visit. Requests of a visit get no response after it ends. */
let visit = new AbortController();

/** Ends the visit. Requests in progress change nothing any more. */
export function endVisit() {
  visit.abort();
  visit = new AbortController();
  account = undefined;
  refreshing = undefined;
  clearTimeout(renewal);
  keys.clear();
}

/** A problem from the API. `left`: the visit has ended. */
export class Problem extends Error {
  constructor(body, status, left = false) {
    const fields = (body.errors ?? []).map(({ path, message }) => `${path}: ${message}`);
    super([body.detail ?? body.title ?? `The server returned ${status}`, ...fields].join("\n"));
    this.slug = (body.type ?? "").split("/").at(-1);
    this.status = status;
    this.left = left;
  }
}

let refreshing;

/** One refresh at a time: a second one would use a replaced token. */
function refresh() {
  if (refreshing) return refreshing;
  const begun = refreshing = renew().finally(() => {
    if (refreshing === begun) refreshing = undefined;
  });
  return begun;
}

async function renew() {
  keepTokens(await send("POST", "/security/refresh", { refresh_token: tokens()?.refresh_token }, { bare: true }));
  await allowPictures().catch(() => {});
}

let renewal;
/** Delay after a failed renewal. */
const RETRY_MS = 30_000;

/**
 * Allows pictures with a cookie, because the browser requests them without a token. The cookie is for pictures only. It
 * expires with the access token and is renewed in time, also while a person only listens.
 */
export async function allowPictures() {
  renewPicturesIn(RETRY_MS);
  await send("PUT", "/photos/cookie");
  const pair = tokens();
  if (pair) renewPicturesIn(pair.expires_in * 1000 / 2);
}

function renewPicturesIn(ms) {
  clearTimeout(renewal);
  renewal = setTimeout(() => {
    if (!account) return;
    renewPicturesIn(RETRY_MS);
    // The token may need a refresh first.
    call("GET", "/users/me").then(allowPictures).catch(() => {});
  }, ms);
}

/** Removes the cookie before a sign-out, which invalidates it anyway. */
export function forbidPictures() {
  clearTimeout(renewal);
  return send("DELETE", "/photos/cookie").catch(() => {});
}

export async function call(method, path, body, options) {
  const { signal } = visit;
  try {
    return await send(method, path, body, { ...options, signal });
  } catch (problem) {
    if (problem.slug !== "token-expired" && problem.slug !== "token-refreshed") throw problem;
    await refresh();
    return await send(method, path, body, { ...options, signal });
  }
}

/** `key`: the Idempotency-Key; `bare`: without the account's token; `signal`: of the visit. */
export async function send(method, path, body, { key, bare, signal = visit.signal } = {}) {
  const headers = { accept: "application/json" };
  const pair = tokens();
  if (pair && !bare) headers.authorization = `Bearer ${pair.access_token}`;
  const form = body instanceof FormData;
  if (body !== undefined && !form) headers["content-type"] = "application/json";
  if (key) headers["idempotency-key"] = key;
  try {
    const response = await fetch(API + path, {
      method,
      headers,
      signal,
      ...(body !== undefined && { body: form ? body : JSON.stringify(body) }),
    });
    const answer = response.status === 204 ? undefined : await response.json().catch(() => ({}));
    signal.throwIfAborted();
    if (!response.ok) throw new Problem(answer, response.status);
    return answer;
  } catch (problem) {
    if (signal.aborted) throw new Problem({ detail: "The visit has ended" }, 0, true);
    if (problem instanceof Problem) throw problem;
    throw new Problem({ detail: "The server cannot be reached. Try again in a moment" }, 0);
  }
}

const keys = new Map();

/**
 * The same content gets the same key until it succeeds, so a repeated request after a lost response has no second
 * effect.
 */
export function keyOf(what, content) {
  const text = JSON.stringify([what, content]);
  if (!keys.has(text)) keys.set(text, crypto.randomUUID());
  return keys.get(text);
}

/** Ends a key after success: the same content is a new request. */
export function spend(key) {
  for (const [content, known] of keys) if (known === key) keys.delete(content);
}

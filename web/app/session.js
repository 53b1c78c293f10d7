/**
 * Who is signed in on this page, and calls to the public API in their name. Tokens are kept in sessionStorage, so they end with
 * the tab.
 */
export const API = "/api/v1";

/** The account; undefined while nobody is signed in. */
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

/** One person's time at this page: what is asked in it is answered in it, or never. */
let visit = new AbortController();

/** The person is gone. Whatever is under way for them, however late it is answered, changes nothing here any more. */
export function endVisit() {
  visit.abort();
  visit = new AbortController();
  account = undefined;
  refreshing = undefined;
  clearTimeout(renewal);
  keys.clear();
}

/** A problem as the API tells it; `left`: whoever asked is gone. */
export class Problem extends Error {
  constructor(body, status, left = false) {
    const fields = (body.errors ?? []).map(({ path, message }) => `${path}: ${message}`);
    super([body.detail ?? body.title ?? `The server answered ${status}`, ...fields].join("\n"));
    this.slug = (body.type ?? "").split("/").at(-1);
    this.status = status;
    this.left = left;
  }
}

let refreshing;

/** One refresh at a time: a second one would use a token that the first has replaced. */
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
/** After a renewal that failed. */
const RETRY_MS = 30_000;

/**
 * Pictures are asked for by the browser itself, which sends no token: a cookie stands for it, and goes with nothing else. It lives
 * as long as an access token, so it is renewed in time, also while a person only listens.
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
    // The token may have to be refreshed first.
    call("GET", "/users/me").then(allowPictures).catch(() => {});
  }, ms);
}

/** Before a sign-out, which makes the cookie worthless anyhow. */
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

/** `key`: the Idempotency-Key of a request that must happen once; `bare`: without the account's token; `signal`: of the visit. */
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
    if (signal.aborted) throw new Problem({ detail: "Whoever asked is gone" }, 0, true);
    if (problem instanceof Problem) throw problem;
    throw new Problem({ detail: "The server is out of reach; try again in a moment" }, 0);
  }
}

const keys = new Map();

/** The same content gets the same key until it has succeeded, so that a second press after a lost answer does nothing twice. */
export function keyOf(what, content) {
  const text = JSON.stringify([what, content]);
  if (!keys.has(text)) keys.set(text, crypto.randomUUID());
  return keys.get(text);
}

/** It has succeeded: the same content once more is another thing. */
export function spend(key) {
  for (const [content, known] of keys) if (known === key) keys.delete(content);
}

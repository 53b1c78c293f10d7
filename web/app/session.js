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

/** A problem as the API tells it. */
export class Problem extends Error {
  constructor(body, status) {
    const fields = (body.errors ?? []).map(({ path, message }) => `${path}: ${message}`);
    super([body.detail ?? body.title ?? `The server answered ${status}`, ...fields].join("\n"));
    this.slug = (body.type ?? "").split("/").at(-1);
    this.status = status;
  }
}

let refreshing;

/** One refresh at a time: a second one would use a token that the first has replaced. */
function refresh() {
  return refreshing ??= send("POST", "/security/refresh", { refresh_token: tokens()?.refresh_token }, { bare: true })
    .then(keepTokens)
    .then(() => allowPictures().catch(() => {}))
    .finally(() => refreshing = undefined);
}

let renewal;

/**
 * Pictures are asked for by the browser itself, which sends no token: a cookie stands for it, and goes with nothing else. It lives
 * as long as an access token, so it is renewed in time, also while a person only listens.
 */
export async function allowPictures() {
  clearTimeout(renewal);
  await send("PUT", "/photos/cookie");
  const pair = tokens();
  if (pair) renewal = setTimeout(renewPictures, pair.expires_in * 1000 / 2);
}

function renewPictures() {
  if (account) void call("GET", "/users/me").then(allowPictures).catch(() => {});
}

/** Before a sign-out, which makes the cookie worthless anyhow. */
export function forbidPictures() {
  clearTimeout(renewal);
  return send("DELETE", "/photos/cookie").catch(() => {});
}

export async function call(method, path, body, options) {
  try {
    return await send(method, path, body, options);
  } catch (problem) {
    if (problem.slug !== "token-expired" && problem.slug !== "token-refreshed") throw problem;
    await refresh();
    return await send(method, path, body, options);
  }
}

/** `key`: the Idempotency-Key of a request that must happen once; `bare`: without the account's token. */
export async function send(method, path, body, { key, bare } = {}) {
  const headers = { accept: "application/json" };
  const pair = tokens();
  if (pair && !bare) headers.authorization = `Bearer ${pair.access_token}`;
  const form = body instanceof FormData;
  if (body !== undefined && !form) headers["content-type"] = "application/json";
  if (key) headers["idempotency-key"] = key;
  let response;
  try {
    response = await fetch(API + path, {
      method,
      headers,
      ...(body !== undefined && { body: form ? body : JSON.stringify(body) }),
    });
  } catch {
    throw new Problem({ detail: "The server is out of reach; try again in a moment" }, 0);
  }
  if (response.status === 204) return undefined;
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Problem(answer, response.status);
  return answer;
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

/**
 * The site's own client. It speaks the public API only, shows what others wrote through textContent only, and keeps its tokens
 * in sessionStorage, so they end with the tab.
 */
const API = "/api/v1";
const $ = (id) => document.getElementById(id);

// --- Session ---

let account;

function tokens() {
  return JSON.parse(sessionStorage.getItem("tokens") ?? "null");
}

function keepTokens(pair) {
  if (pair) sessionStorage.setItem("tokens", JSON.stringify(pair));
  else sessionStorage.removeItem("tokens");
}

/** A problem as the API tells it. */
class Problem extends Error {
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

/** Pictures are asked for by the browser itself, which sends no token: a cookie stands for it, and goes with nothing else. */
function allowPictures() {
  return send("PUT", "/photos/cookie");
}

/** The cookie ends with the token it stands for; who only listens needs a new one all the same. */
setInterval(() => account && void call("PUT", "/photos/cookie").catch(() => {}), 10 * 60_000);

async function call(method, path, body, options) {
  try {
    return await send(method, path, body, options);
  } catch (problem) {
    if (problem.slug !== "token-expired" && problem.slug !== "token-refreshed") throw problem;
    await refresh();
    return await send(method, path, body, options);
  }
}

/** `key`: the Idempotency-Key of a request that must happen once; `bare`: without the account's token. */
async function send(method, path, body, { key, bare } = {}) {
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

// --- What the page says ---

function say(text, bad = false) {
  $("notice").textContent = text;
  $("notice").classList.toggle("bad", bad);
}

/** Runs what a person asked for; whatever goes wrong is said where they look. */
async function attempt(work, control) {
  if (control) control.disabled = true;
  try {
    say("");
    await work();
  } catch (problem) {
    if (problem.status === 401) leave();
    say(problem.message, true);
  } finally {
    if (control) control.disabled = false;
  }
}

function onSubmit(id, work) {
  $(id).addEventListener("submit", (event) => {
    event.preventDefault();
    const form = event.currentTarget;
    void attempt(() => work(Object.fromEntries(new FormData(form)), form), form.querySelector("button"));
  });
}

// --- Door ---

async function enter() {
  account = await call("GET", "/users/me");
  await allowPictures().catch(() => {});
  showPicture();
  $("door").hidden = true;
  $("home").hidden = false;
  $("who").hidden = false;
  $("who-name").textContent = account.login;
  showVerification();
  await readFeed();
  listen();
}

function leave() {
  if (account) void send("DELETE", "/photos/cookie", undefined, { bare: true }).catch(() => {});
  account = undefined;
  keepTokens(null);
  hangUp();
  $("posts").replaceChildren();
  $("found").replaceChildren();
  $("door").hidden = false;
  $("home").hidden = true;
  $("who").hidden = true;
}

function showVerification() {
  const waiting = account.email_verified ? account.pending_email : account.pending_email ?? account.email;
  $("verify").hidden = !waiting;
  $("verify-email").textContent = waiting ?? "";
}

async function signIn(login, password) {
  keepTokens(await send("POST", "/security/login", { login, password }, { bare: true }));
  await enter();
}

onSubmit("sign-in", async ({ login, password }, form) => {
  await signIn(login, password);
  form.reset();
});

onSubmit("register", async (fields, form) => {
  await send("POST", "/users", fields, { bare: true, key: keyOf("register", fields) });
  await signIn(fields.login, fields.password);
  form.reset();
  say(`Welcome, ${fields.first_name}. Confirm your e-mail, and you can write and follow.`);
});

onSubmit("verify", async ({ code }, form) => {
  await call("POST", "/security/verify", { code: code.trim() });
  account = await call("GET", "/users/me");
  form.reset();
  showVerification();
  say("Your e-mail is confirmed.");
});

$("new-code").addEventListener("click", (event) =>
  attempt(async () => {
    await call("POST", "/security/code");
    say("A new code is on its way; the older one is void.");
  }, event.currentTarget));

$("sign-out").addEventListener("click", (event) =>
  attempt(async () => {
    await call("POST", "/security/logout").finally(leave);
  }, event.currentTarget));

// --- Writing and following ---

const keys = new Map();

/** The same content gets the same key until it has succeeded, so that a second press after a lost answer does nothing twice. */
function keyOf(what, content) {
  const text = JSON.stringify([what, content]);
  if (!keys.has(text)) keys.set(text, crypto.randomUUID());
  return keys.get(text);
}

onSubmit("write", async ({ text }, form) => {
  const photos = [...form.elements.photos.files];
  const key = keyOf("post", [text, ...photos.map(({ name, size, lastModified }) => [name, size, lastModified])]);
  const body = photos.length > 0 ? new FormData() : { text };
  if (photos.length > 0) {
    if (text.trim() !== "") body.append("text", text);
    for (const photo of photos) body.append("photos", photo);
  }
  const post = await call("POST", `/pages/${account.page_id}/posts`, body, { key });
  // The next post of the same words is another post.
  for (const [content, known] of keys) if (known === key) keys.delete(content);
  form.reset();
  if (post.state === "ready") show(post, { first: true });
  else if (post.state === "failed") say(`A photo could not be used: ${post.photos.find(({ problem }) => problem)?.problem}`, true);
  else say("Your photos are being prepared; the post appears when they are ready.");
});

$("picture").addEventListener("change", ({ currentTarget }) =>
  attempt(async () => {
    const body = new FormData();
    body.append("file", currentTarget.files[0]);
    currentTarget.value = "";
    account = await call("PUT", `/users/${account.id}/avatar`, body);
    showPicture();
  }));

/** A person without a picture has an empty circle. */
function showPicture() {
  if (account.avatar_url) $("who-picture").src = account.avatar_url;
  else $("who-picture").removeAttribute("src");
}

onSubmit("follow", async ({ handle }, form) => {
  await follow(handle.trim(), handle);
  form.reset();
});

async function follow(page, name) {
  const { state } = await call("PUT", `/pages/${encodeURIComponent(page)}/follow`);
  const asked = state === "requested";
  say(asked ? `You asked to follow "${name}".` : `You follow "${name}".`);
  if (!asked) await readFeed();
}

onSubmit("search", async ({ q }) => {
  const { pages, users } = await call("GET", `/search?${new URLSearchParams({ q, limit: 5 })}`);
  const shown = new Set(pages.items.map(({ id }) => id));
  const people = users.items.filter(({ page_id }) => !shown.has(page_id));
  $("found").replaceChildren(
    ...pages.items.map(({ id, name, uuid }) => found(id, name, uuid)),
    ...people.map(({ page_id, first_name, last_name, login }) => found(page_id, `${first_name} ${last_name}`, login)),
  );
  if ($("found").childElementCount === 0) say(`Nothing was found for "${q}".`);
});

/** A page, or a person by their own page. */
function found(page, name, handle) {
  const item = document.createElement("li");
  const button = document.createElement("button");
  button.type = "button";
  button.className = "quiet";
  button.textContent = "Follow";
  button.addEventListener("click", () => attempt(() => follow(page, handle), button));
  item.append(`${name} (@${handle}) `, button);
  return item;
}

// --- Feed ---

const items = new Map();
let next = null;
let cursor;

let reading = 0;
let held = [];

/** The first page anew; what the socket brings meanwhile waits for it, as it may be newer. */
async function readFeed() {
  reading++;
  try {
    const page = await call("GET", "/feed?limit=20");
    items.clear();
    $("posts").replaceChildren();
    for (const post of page.items) show(post);
    cursor ??= page.live_cursor;
    next = page.next_cursor;
    showEnds();
  } finally {
    reading--;
    const frames = held;
    held = [];
    for (const frame of frames) take(frame);
  }
}

$("more").addEventListener("click", (event) =>
  attempt(async () => {
    const page = await call("GET", `/feed?limit=20&cursor=${encodeURIComponent(next)}`);
    for (const post of page.items) show(post);
    next = page.next_cursor;
    showEnds();
  }, event.currentTarget));

function showEnds() {
  $("more").hidden = next === null;
  $("empty").hidden = items.size > 0;
}

/** Adds a post or brings the shown one up to date; `first` puts a new one on top. */
function show(post, { first = false } = {}) {
  let item = items.get(post.id);
  if (!item) {
    item = $("post").content.firstElementChild.cloneNode(true);
    item.querySelector(".like").addEventListener("click", (event) => attempt(() => like(post.id), event.currentTarget));
    items.set(post.id, item);
    if (first) {
      item.classList.add("new");
      $("posts").prepend(item);
    } else {
      $("posts").append(item);
    }
  }
  const at = new Date(post.published_at ?? post.created_at);
  item.querySelector(".author").textContent = `${post.author.first_name} ${post.author.last_name}`;
  item.querySelector(".page").textContent = `on ${post.page.name} (@${post.page.uuid})`;
  item.querySelector("time").textContent = at.toLocaleString();
  item.querySelector("time").dateTime = at.toISOString();
  item.querySelector(".text").textContent = post.text;
  const picture = item.querySelector("img.picture");
  picture.hidden = !post.author.avatar_url;
  if (post.author.avatar_url) picture.src = post.author.avatar_url;
  showPhotos(item.querySelector(".photos"), post.photos);
  showLikes(item, post);
  showEnds();
}

function showPhotos(list, photos) {
  list.hidden = photos.length === 0;
  list.replaceChildren(...photos.map(({ url, width, variants, alt }) => {
    const img = document.createElement("img");
    img.src = url;
    img.srcset = [{ url, width }, ...variants].map((size) => `${size.url} ${size.width}w`).join(", ");
    img.sizes = photos.length === 1 ? "22rem" : "11rem";
    img.width = img.height = width;
    img.alt = alt ?? "";
    img.loading = "lazy";
    const item = document.createElement("li");
    item.append(img);
    return item;
  }));
}

/** What comes live is the same for all listeners, so it does not say whether this one likes it. */
function showLikes(item, { like_count, liked }) {
  if (like_count !== undefined) item.querySelector(".count").textContent = String(like_count);
  if (liked !== undefined) item.querySelector(".like").setAttribute("aria-pressed", String(liked));
}

async function like(id) {
  const item = items.get(id);
  const liked = item.querySelector(".like").getAttribute("aria-pressed") !== "true";
  const answer = await call(liked ? "PUT" : "DELETE", `/posts/${id}/like`);
  showLikes(item, { liked, ...answer });
}

function remove(id) {
  items.get(id)?.remove();
  items.delete(id);
  showEnds();
}

// --- Live ---

let socket;
let retry;
let failures = 0;

async function listen() {
  hangUp();
  try {
    const { ticket } = await call("POST", "/feed/ticket");
    if (!account) return;
    const query = new URLSearchParams({ ticket, ...(cursor && { cursor }) });
    const url = new URL(`${API}/feed/live?${query}`, location.href);
    url.protocol = url.protocol.replace("http", "ws");
    const opened = socket = new WebSocket(url);
    opened.onmessage = ({ data }) => opened === socket && take(JSON.parse(data));
    opened.onclose = ({ code }) => opened === socket && closed(code);
  } catch (problem) {
    closed(problem.status === 401 ? 4401 : 0);
  }
}

function hangUp() {
  const open = socket;
  socket = undefined;
  if (!account) cursor = undefined;
  clearTimeout(retry);
  open?.close();
  live(false);
}

function closed(code) {
  live(false);
  if (!account) return;
  if (code === 4401 || code === 4403) {
    leave();
    say(code === 4403 ? "The account is blocked." : "The session has ended. Please sign in again.", true);
    return;
  }
  // Growing pauses with some chance in them, so that after a restart not everybody returns at once.
  const pause = Math.min(30_000, 500 * 2 ** Math.min(failures++, 6)) * (0.5 + Math.random());
  retry = setTimeout(listen, pause);
}

function live(on) {
  $("live").dataset.state = on ? "on" : "off";
  $("live").textContent = on ? "live" : "not live";
}

function take(frame) {
  if (reading > 0) return void held.push(frame);
  const { type, cursor: at, data } = frame;
  if (type === "hello") {
    failures = 0;
    live(true);
  }
  if (type === "post.created") show(data, { first: true });
  if (type === "post.updated" && items.has(data.id)) show(data);
  if (type === "post.likes" && items.has(data.id)) showLikes(items.get(data.id), data);
  if (type === "post.deleted") remove(data.id);
  if (type === "reset" || type === "page.hidden" || type === "page.shown") void attempt(readFeed);
  // Only after it is shown: what was not shown must come again.
  if (at) cursor = at;
}

// Without an answer the tokens are kept: the next load may have more luck.
if (tokens()) void attempt(enter).finally(() => $("door").hidden = account !== undefined);
else leave();

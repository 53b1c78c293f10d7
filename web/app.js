/** The site's own client, which speaks the public API only. Here is its door; behind it are the parts in `app/`. */
import { clearBell, readBell, ring } from "./app/bell.js";
import { closeSettings } from "./app/bell_settings.js";
import { clearFeed, readFeed, takePost } from "./app/feed.js";
import { clearFound } from "./app/following.js";
import { hangUp, listen } from "./app/live.js";
import { $, attempt, onSubmit, say, whenSessionEnds } from "./app/page.js";
import { closePost, takeShown } from "./app/post_view.js";
import {
  account,
  allowPictures,
  call,
  forbidPictures,
  keepTokens,
  keyOf,
  send,
  setAccount,
  tokens,
} from "./app/session.js";
import { clearUnready, readUnready } from "./app/unready.js";
import { lookForNewer } from "./app/version.js";
import "./app/writing.js";

async function enter() {
  setAccount(await call("GET", "/users/me"));
  await allowPictures().catch(() => {});
  showPicture();
  showDoor(false);
  $("who-name").textContent = account.login;
  $("admin-link").hidden = account.role !== "admin";
  showVerification();
  await readFeed();
  void attempt(readUnready);
  // After the feed, which says from where on the socket tells of everything; without the bell the rest still works.
  await attempt(readBell);
  listen(take, ended);
}

function leave() {
  setAccount(undefined);
  keepTokens(null);
  hangUp();
  closePost();
  clearFeed();
  clearUnready();
  clearFound();
  clearBell();
  closeSettings();
  showDoor(true);
}

whenSessionEnds(leave);

function ended(code) {
  leave();
  say(code === 4403 ? "The account is blocked." : "The session has ended. Please sign in again.", true);
}

function take(frame) {
  const { type, data } = frame;
  // Connected again: perhaps the server was replaced.
  if (type === "hello") void lookForNewer();
  if (type === "notification") return ring(data);
  if (type === "reset") void attempt(readBell);
  if (type === "reset" || type === "page.hidden" || type === "page.shown") void attempt(readFeed);
  else {
    takePost(frame);
    takeShown(frame);
  }
}

function showDoor(shown) {
  $("door").hidden = !shown;
  $("home").hidden = $("who").hidden = $("bell").hidden = shown;
  if (shown) $("admin-link").hidden = true;
}

function showVerification() {
  const waiting = account.email_verified ? account.pending_email : account.pending_email ?? account.email;
  $("verify").hidden = !waiting;
  $("verify-email").textContent = waiting ?? "";
}

/** A person without a picture has an empty circle. */
function showPicture() {
  if (account.avatar_url) $("who-picture").src = account.avatar_url;
  else $("who-picture").removeAttribute("src");
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
  setAccount(await call("GET", "/users/me"));
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
    // Otherwise the socket may be the first to say that the session has ended.
    hangUp();
    await forbidPictures();
    await call("POST", "/security/logout").finally(leave);
  }, event.currentTarget));

$("picture").addEventListener("change", ({ currentTarget }) =>
  attempt(async () => {
    const body = new FormData();
    body.append("file", currentTarget.files[0]);
    currentTarget.value = "";
    setAccount(await call("PUT", `/users/${account.id}/avatar`, body));
    showPicture();
  }));

// Without an answer the tokens are kept: the next load may have more luck.
if (tokens()) void attempt(enter).finally(() => $("door").hidden = account !== undefined);
else leave();

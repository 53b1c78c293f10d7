/** The site's client. It uses the public API only. This file has sign-in and wiring; the parts are in `app/`. */
import { takeAgreement } from "./app/agreement.js";
import { readBell, ring } from "./app/bell.js";
import "./app/bell_settings.js";
import { giveDraftsBack, keepDrafts } from "./app/draft.js";
import { readFeed, takePost } from "./app/feed.js";
import { focusHeading } from "./app/focus.js";
import "./app/following.js";
import { hangUp, listen } from "./app/live.js";
import { $, attempt, clearPage, onSubmit, rememberPage, say, whenSessionEnds } from "./app/page.js";
import { openPost, takeShown } from "./app/post_view.js";
import {
  account,
  allowPictures,
  call,
  endVisit,
  forbidPictures,
  keepTokens,
  keyOf,
  send,
  setAccount,
  tokens,
} from "./app/session.js";
import { foreign, line, put } from "./app/text.js";
import { readUnready } from "./app/unready.js";
import { lookForNewer } from "./app/version.js";
import { reasonOf, whenAnotherReturns } from "./app/visit.js";
import "./app/writing.js";

async function enter() {
  setAccount(await call("GET", "/users/me"));
  await allowPictures().catch(() => {});
  showPicture();
  // The focused button is about to disappear, and the feed may take time to load.
  const wasAtDoor = $("door").contains(document.activeElement);
  showDoor(false);
  if (wasAtDoor) focusHeading($("feed-title"));
  put($("who-name"), foreign(account.login));
  $("admin-link").hidden = account.role !== "admin";
  showVerification();
  if (giveDraftsBack()) say("Your draft was restored.");
  await readFeed();
  void attempt(readUnready);
  // After the feed, which has the socket's start cursor. Without notifications the rest still works.
  await attempt(readBell);
  listen(take, ended);
  openLinked();
}

/** Emails link to a post. After it is opened the address is reset, so that a reload does not open it again. */
function openLinked() {
  const id = /^#post=([0-9a-f-]{36})$/i.exec(location.hash)?.[1];
  if (!id || !account) return;
  history.replaceState(null, "", location.pathname);
  openPost(id.toLowerCase());
}

addEventListener("hashchange", openLinked);

function leave() {
  keepTokens(null);
  clear();
}

/** Resets the page for the next person. */
function clear() {
  endVisit();
  hangUp();
  clearPage();
  showDoor(true);
  focusHeading($("door-title"));
}

whenSessionEnds((problem) => {
  // Without a permitted account there is no session to end.
  if (tokens()) {
    keepDrafts();
    leave();
  }
  say(reasonOf(problem), true);
});

/** The socket reports only that the session is over. The next API response has the reason and ends the session here. */
function ended() {
  void attempt(() => call("GET", "/users/me"));
}

function take(frame) {
  const { type, data } = frame;
  // After a reconnect the server may have another version.
  if (type === "hello") void lookForNewer();
  if (type === "notification") return ring(data);
  if (type === "reset") void attempt(readBell);
  if (type === "reset" || type === "page.hidden" || type === "page.shown") void attempt(readFeed);
  else {
    takePost(frame);
    takeShown(frame);
    takeAgreement(frame);
  }
}

function showDoor(shown) {
  $("door").hidden = !shown;
  $("home").hidden = $("who").hidden = $("bell").hidden = account === undefined;
  if (shown) $("admin-link").hidden = true;
}

function showVerification() {
  const waiting = account.email_verified ? account.pending_email : account.pending_email ?? account.email;
  $("verify").hidden = !waiting;
  put($("verify-email"), foreign(waiting ?? ""));
}

/** An empty circle stands for a missing picture. */
function showPicture() {
  if (account.avatar_url) $("who-picture").src = account.avatar_url;
  else $("who-picture").removeAttribute("src");
}

async function signIn(login, password) {
  const pair = await send("POST", "/security/login", { login, password }, { bare: true });
  // Another sign-in may have finished before this one, or may still be running.
  if (account) clear();
  else endVisit();
  keepTokens(pair);
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
  say(line`Welcome, ${fields.first_name}. Confirm your email to write and follow.`);
});

onSubmit("verify", async ({ code }, form) => {
  await call("POST", "/security/verify", { code: code.trim() });
  setAccount(await call("GET", "/users/me"));
  form.reset();
  showVerification();
  say("Your email is confirmed.");
});

$("new-code").addEventListener("click", (event) =>
  attempt(async () => {
    await call("POST", "/security/code");
    say("A new code was sent; the old one is no longer valid.");
  }, event.currentTarget));

$("sign-out").addEventListener("click", (event) =>
  attempt(async () => {
    // Otherwise the socket may be the first to report the end of the session.
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

function start() {
  // Without an answer the tokens are kept for the next load.
  const known = tokens() !== null;
  showDoor(!known);
  if (known) void attempt(enter).finally(() => account || showDoor(true));
}

rememberPage();
whenAnotherReturns(() => {
  clear();
  start();
});
start();

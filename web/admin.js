/** The administration: a sign-in form, then one view per kind of work. It uses the public API only. */
import { focusHeading } from "./app/focus.js";
import { $, attempt, clearPage, onSubmit, rememberPage, say, whenSessionEnds } from "./app/page.js";
import {
  account,
  allowPictures,
  call,
  endVisit,
  forbidPictures,
  keepTokens,
  send,
  setAccount,
  tokens,
} from "./app/session.js";
import { foreign, line, put } from "./app/text.js";
import { reasonOf, whenAnotherReturns } from "./app/visit.js";
import "./app/version.js";
import * as accounts from "./admin/accounts.js";
import * as jobs from "./admin/jobs.js";
import * as nodes from "./admin/nodes.js";
import * as pages from "./admin/pages.js";
import * as record from "./admin/record.js";
import * as reports from "./admin/reports.js";

const ROOMS = { reports, accounts, pages, record, jobs, nodes };

async function enter() {
  const known = await call("GET", "/users/me");
  if (known.role !== "admin") {
    showDoor(true);
    return say(line`${known.login} is not an administrator.`, true);
  }
  setAccount(known);
  await allowPictures().catch(() => {});
  put($("who-name"), foreign(account.login));
  // The focused button is about to disappear, and the view may take time to load.
  const wasAtDoor = $("door").contains(document.activeElement);
  showDoor(false);
  show(current());
  if (wasAtDoor) focusHeading($(`${current()}-title`));
  await open();
}

function leave() {
  keepTokens(null);
  clear();
}

/** Nothing of what was read or typed stays for the next person. */
function clear() {
  endVisit();
  clearPage();
  showDoor(true);
  focusHeading($("door-title"));
}

whenSessionEnds((problem) => {
  // Without a permitted account there is no session to end.
  if (tokens()) leave();
  say(reasonOf(problem), true);
});

function showDoor(shown) {
  $("door").hidden = !shown;
  $("panel").hidden = $("who").hidden = account === undefined;
}

/** Opens the view named by the address and loads it. */
async function open() {
  const name = current();
  show(name);
  try {
    await ROOMS[name].enter();
  } catch (problem) {
    // The account lost its role.
    if (problem.status === 403) clear();
    throw problem;
  }
}

function current() {
  const name = location.hash.slice(1);
  return Object.hasOwn(ROOMS, name) ? name : "reports";
}

function show(name) {
  for (const room of Object.keys(ROOMS)) $(room).hidden = room !== name;
  for (const link of $("rooms").querySelectorAll("a")) {
    if (link.hash === `#${name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

addEventListener("hashchange", () => account && attempt(open));

reports.whenLeaving((name) => {
  history.pushState(null, "", `#${name}`);
  show(name);
  focusHeading($(`${name}-title`));
});

onSubmit("sign-in", async ({ login, password }, form) => {
  const pair = await send("POST", "/security/login", { login, password }, { bare: true });
  // Another sign-in may have finished before this one, or may still be running.
  if (account) clear();
  else endVisit();
  keepTokens(pair);
  form.reset();
  await enter();
});

$("sign-out").addEventListener("click", ({ currentTarget }) =>
  attempt(async () => {
    await forbidPictures();
    await call("POST", "/security/logout").finally(leave);
  }, currentTarget));

function start() {
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

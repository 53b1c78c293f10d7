/** The administration: a door, and behind it one room for each thing an administrator does, by the public API only. */
import { $, attempt, onSubmit, say, whenSessionEnds } from "./app/page.js";
import { account, allowPictures, call, forbidPictures, keepTokens, send, setAccount, tokens } from "./app/session.js";
import "./app/version.js";
import { callOff } from "./admin/act.js";
import * as accounts from "./admin/accounts.js";
import * as jobs from "./admin/jobs.js";
import * as pages from "./admin/pages.js";
import * as record from "./admin/record.js";
import * as reports from "./admin/reports.js";

const ROOMS = { reports, accounts, pages, record, jobs };

async function enter() {
  const known = await call("GET", "/users/me");
  if (known.role !== "admin") {
    showDoor(true);
    return say(`${known.login} is no administrator.`, true);
  }
  setAccount(known);
  await allowPictures().catch(() => {});
  $("who-name").textContent = account.login;
  showDoor(false);
  await open();
}

function leave() {
  keepTokens(null);
  close();
}

/** Nothing of what was read stays for whoever comes next. */
function close() {
  setAccount(undefined);
  showDoor(true);
  callOff();
  $("posts").hidden = true;
  for (const list of document.querySelectorAll(".list")) list.replaceChildren();
}

whenSessionEnds(leave);

function showDoor(shown) {
  $("door").hidden = !shown;
  $("panel").hidden = $("who").hidden = shown;
}

/** The room that the address names, with what it has now. */
async function open() {
  const name = current();
  show(name);
  try {
    await ROOMS[name].enter();
  } catch (problem) {
    // No administrator any more.
    if (problem.status === 403) close();
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
});

onSubmit("sign-in", async ({ login, password }, form) => {
  keepTokens(await send("POST", "/security/login", { login, password }, { bare: true }));
  form.reset();
  await enter();
});

$("sign-out").addEventListener("click", ({ currentTarget }) =>
  attempt(async () => {
    await forbidPictures();
    await call("POST", "/security/logout").finally(leave);
  }, currentTarget));

if (tokens()) void attempt(enter).finally(() => showDoor(account === undefined));
else showDoor(true);

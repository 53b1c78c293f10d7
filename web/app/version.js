/** Whether the server has another version of this page by now. Until it is loaded again, the page goes on with its own. */
import { $ } from "./page.js";

/** Between two looks. */
const PAUSE_MS = 60_000;
let looked = 0;

$("starting").remove();

/** This file's address names its version, and a server has its own version only. */
export async function lookForNewer() {
  if ($("newer").childElementCount > 0 || Date.now() - looked < PAUSE_MS) return;
  looked = Date.now();
  const response = await fetch(import.meta.url, { method: "HEAD", cache: "no-store" }).catch(() => undefined);
  if (response?.status === 404) offer();
}

function offer() {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "quiet";
  button.textContent = "Load it";
  button.addEventListener("click", () => location.reload());
  $("newer").replaceChildren("There is a new version of this page. ", button);
}

addEventListener("visibilitychange", () => document.hidden || void lookForNewer());

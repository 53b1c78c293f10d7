/** Checks whether the server has a newer version of this page. Until a reload the page keeps its own version. */
import { $ } from "./page.js";

/** Minimum interval between checks. */
const PAUSE_MS = 60_000;
let looked = 0;

$("starting").remove();

/** This file's address has its version, and a server serves its own version only. */
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
  button.textContent = "Reload";
  button.addEventListener("click", () => location.reload());
  $("newer").replaceChildren("A new version is available. ", button);
}

addEventListener("visibilitychange", () => document.hidden || void lookForNewer());

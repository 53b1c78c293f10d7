/** Following pages by handle or from search results. */
import { readFeed } from "./feed.js";
import { $, attempt, onSubmit, say } from "./page.js";
import { call } from "./session.js";
import { line, nodesOf } from "./text.js";

onSubmit("follow", async ({ handle }, form) => {
  await follow(handle.trim(), handle);
  form.reset();
});

async function follow(page, name) {
  const { state } = await call("PUT", `/pages/${encodeURIComponent(page)}/follow`);
  const asked = state === "requested";
  say(asked ? line`You asked to follow "${name}".` : line`You follow "${name}".`);
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
  if ($("found").childElementCount === 0) say(line`No results for "${q}".`);
});

/** A page, or a person represented by their page. */
function found(page, name, handle) {
  const item = document.createElement("li");
  const button = document.createElement("button");
  button.type = "button";
  button.className = "quiet";
  button.textContent = "Follow";
  button.addEventListener("click", () => attempt(() => follow(page, handle), button));
  item.append(...nodesOf(line`${name} (${`@${handle}`}) `), button);
  return item;
}

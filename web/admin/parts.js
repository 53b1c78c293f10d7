/** Shared parts of the administration: elements and paged lists. */
import { $, attempt, onSubmit, whenLeft } from "../app/page.js";
import { call } from "../app/session.js";
import { foreign, nodesOf } from "../app/text.js";

/** An element with properties and children. Children are elements, own text, and lines with text of other people. */
export function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...nodesOf(children.filter((child) => child !== null)));
  return element;
}

/** A button with an action. */
export function button(name, work) {
  const made = make("button", { type: "button", className: "quiet", textContent: name });
  made.addEventListener("click", () => attempt(work, made));
  return made;
}

export function time(at) {
  return make("time", { dateTime: at, textContent: new Date(at).toLocaleString() });
}

/** The text of a block; null if there is none. */
export function blockLine(blocked) {
  if (!blocked) return null;
  const end = blocked.until === null ? "permanently" : `until ${new Date(blocked.until).toLocaleString()}`;
  const reason = blocked.reason === null ? "no reason given" : foreign(blocked.reason);
  return make("p", { className: "blocked" }, `Blocked ${end}: `, reason);
}

/**
 * A list with an optional filter, using the ids `<name>-filter`, `-list`, `-empty` and `-more`. `pathOf` builds an
 * address from the filter's fields, `load` reads a page. Returns a function that reads the first page again, optionally
 * with other fields.
 */
export function list(name, { pathOf, itemOf, load = (address) => call("GET", address) }) {
  let path;
  let next = null;
  whenLeft(() => path = undefined);

  function show(page) {
    $(`${name}-list`).append(...page.items.map(itemOf));
    next = page.next_cursor;
    $(`${name}-more`).hidden = next === null;
    $(`${name}-empty`).hidden = $(`${name}-list`).childElementCount > 0;
  }

  async function read(fields = {}) {
    const asked = path = pathOf(fields);
    const page = await load(asked, fields);
    // Another list was requested meanwhile.
    if (path !== asked) return;
    $(`${name}-list`).replaceChildren();
    show(page);
  }

  $(`${name}-more`).addEventListener("click", ({ currentTarget }) =>
    attempt(async () => {
      const asked = path;
      const page = await load(`${asked}&cursor=${encodeURIComponent(next)}`);
      if (path === asked) show(page);
    }, currentTarget));
  if ($(`${name}-filter`)) onSubmit(`${name}-filter`, read);
  return read;
}

/** The current fields of a list's filter. */
export function fieldsOf(name) {
  return Object.fromEntries(new FormData($(`${name}-filter`)));
}

/** A query string of the fields that are not empty. */
export function query(fields) {
  return new URLSearchParams({ limit: 20, ...Object.fromEntries(Object.entries(fields).filter(([, value]) => value)) });
}

/** Removes an item from its list and shows the empty text after the last one. */
export function drop(item) {
  const shown = item.parentElement;
  // The list was read again meanwhile and the item is gone.
  if (!shown) return;
  item.remove();
  const empty = $(`${shown.id.replace(/-list$/, "")}-empty`);
  if (empty) empty.hidden = shown.childElementCount > 0;
}

/** Replaces an item. The focus stays on the same control if it still exists. */
export function replace(item, next) {
  const focused = item.contains(document.activeElement) ? document.activeElement : null;
  const nth = [...item.querySelectorAll("button, select")].indexOf(focused);
  item.replaceWith(next);
  if (!focused) return;
  const controls = next.querySelectorAll("button, select");
  (controls[nth] ?? controls[controls.length - 1])?.focus();
}

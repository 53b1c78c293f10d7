/** What all rooms of the administration are made of: elements, and lists that are read page by page. */
import { $, attempt, onSubmit, whenLeft } from "../app/page.js";
import { call } from "../app/session.js";
import { foreign, nodesOf } from "../app/text.js";

/** An element with properties and children, which are elements, text of ours, and lines with others' words in them. */
export function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...nodesOf(children.filter((child) => child !== null)));
  return element;
}

/** A button that does something. */
export function button(name, work) {
  const made = make("button", { type: "button", className: "quiet", textContent: name });
  made.addEventListener("click", () => attempt(work, made));
  return made;
}

export function time(at) {
  return make("time", { dateTime: at, textContent: new Date(at).toLocaleString() });
}

/** How a block is told; null where there is none. */
export function blockLine(blocked) {
  if (!blocked) return null;
  const end = blocked.until === null ? "for good" : `until ${new Date(blocked.until).toLocaleString()}`;
  const reason = blocked.reason === null ? "no reason given" : foreign(blocked.reason);
  return make("p", { className: "blocked" }, `Blocked ${end}: `, reason);
}

/**
 * A list with its filter, if it has one, by the ids `<name>-filter`, `-list`, `-empty` and `-more`. `pathOf` makes an address of the
 * filter's fields, `load` a page of an address. Returns what reads its first page anew, perhaps by other fields.
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
    // Another one was asked for meanwhile.
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

/** The fields of a list's filter as they stand. */
export function fieldsOf(name) {
  return Object.fromEntries(new FormData($(`${name}-filter`)));
}

/** A query of those fields that say something. */
export function query(fields) {
  return new URLSearchParams({ limit: 20, ...Object.fromEntries(Object.entries(fields).filter(([, value]) => value)) });
}

/** Takes an item out of its list, which says so when it was the last. */
export function drop(item) {
  const shown = item.parentElement;
  // Gone already, with the list that was read again meanwhile.
  if (!shown) return;
  item.remove();
  const empty = $(`${shown.id.replace(/-list$/, "")}-empty`);
  if (empty) empty.hidden = shown.childElementCount > 0;
}

/** Puts what an item has become in its place; whoever was there stays there, at the same control if there is one. */
export function replace(item, next) {
  const focused = item.contains(document.activeElement) ? document.activeElement : null;
  const nth = [...item.querySelectorAll("button, select")].indexOf(focused);
  item.replaceWith(next);
  if (!focused) return;
  const controls = next.querySelectorAll("button, select");
  (controls[nth] ?? controls[controls.length - 1])?.focus();
}

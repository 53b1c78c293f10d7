/** Lists that are read again while somebody is in them. */
import { keepingFocus } from "./focus.js";

/** Makes these the items of a list. What is in its place already is not touched; the focus stays in what stays, or near it. */
export function arrange(list, items) {
  const refocus = keepingFocus(list);
  const focused = list.contains(document.activeElement) ? document.activeElement : undefined;
  for (const [i, item] of items.entries()) {
    if (list.children[i] !== item) list.insertBefore(item, list.children[i] ?? null);
  }
  while (list.children.length > items.length) list.lastElementChild.remove();
  // Whoever is moved loses it.
  if (focused?.isConnected) focused.focus({ preventScroll: true });
  refocus();
}

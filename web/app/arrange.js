/** Lists that are updated while somebody uses them. */
import { keepingFocus } from "./focus.js";

/** Sets the items of a list. Items already in place are not touched, and the focus stays on or near its element. */
export function arrange(list, items) {
  const refocus = keepingFocus(list);
  const focused = list.contains(document.activeElement) ? document.activeElement : undefined;
  for (const [i, item] of items.entries()) {
    if (list.children[i] !== item) list.insertBefore(item, list.children[i] ?? null);
  }
  while (list.children.length > items.length) list.lastElementChild.remove();
  // A moved element loses the focus.
  if (focused?.isConnected) focused.focus({ preventScroll: true });
  refocus();
}

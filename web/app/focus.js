/**
 * Keeps the focus near an element that was removed. Otherwise keyboards and screen readers restart at the top of the
 * page.
 */

const FOCUSABLE = "a[href], button, input, select, textarea, summary, h1[tabindex]";

/** Remembers the surroundings of a focused control. Returns a function to call after its action. */
export function keepingFocus(control) {
  if (!control || !control.contains(document.activeElement)) return () => {};
  const region = control.closest("dialog, #bell-panel, main") ?? document.body;
  const all = [...region.querySelectorAll(FOCUSABLE)];
  const at = all.indexOf(document.activeElement);
  const near = [...all.slice(at), ...all.slice(0, at).reverse()];
  const list = control.closest("ol, ul");
  const section = control.closest("section, dialog");
  return () => {
    if (!lost()) return;
    const next = near.find((other) => usable(other) && (!list || list.contains(other)));
    if (next) return next.focus();
    // The last item of a list is gone. The elements after it belong to another topic, so its heading gets the focus.
    const headings = [...region.querySelectorAll("h1, h2")].filter(usable);
    const heading = headings.find((one) => section?.contains(one)) ??
      headings.find(({ localName }) => localName === "h1");
    if (heading) focusHeading(heading);
  };
}

function lost() {
  const focused = document.activeElement;
  return !focused || focused === document.body || !usable(focused);
}

function usable(element) {
  return element.isConnected && !element.disabled && element.checkVisibility({ visibilityProperty: true });
}

/** Focuses a heading, which is then read out. */
export function focusHeading(heading) {
  heading.tabIndex = -1;
  heading.focus({ preventScroll: true });
}

/** Where the focus goes when what had it is gone: keyboards and screen readers would begin at the top of the page again. */

const FOCUSABLE = "a[href], button, input, select, textarea, summary, h1[tabindex]";

/** Remembers what is near a control, which has the focus. Returns what to do after an act upon it. */
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
    // The last of a list is gone. What lies beyond is about something else, so the heading over it all has to do.
    const headings = [...region.querySelectorAll("h1, h2")].filter(usable);
    const heading = headings.find((one) => section?.contains(one)) ?? headings.find(({ localName }) => localName === "h1");
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

/** A heading, which is read out: where one is now. */
export function focusHeading(heading) {
  heading.tabIndex = -1;
  heading.focus({ preventScroll: true });
}

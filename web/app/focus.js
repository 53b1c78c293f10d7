/** Where the focus goes when what had it is gone: keyboards and screen readers would begin at the top of the page again. */

const FOCUSABLE = "a[href], button, input, select, textarea, summary, h1[tabindex]";

/** Remembers what is near a control, which has the focus. Returns what to do after an act upon it. */
export function keepingFocus(control) {
  if (!control || !control.contains(document.activeElement)) return () => {};
  const region = control.closest("dialog, #bell-panel, main") ?? document.body;
  const all = [...region.querySelectorAll(FOCUSABLE)];
  const at = all.indexOf(document.activeElement);
  const near = [...all.slice(at), ...all.slice(0, at).reverse()];
  return () => {
    if (!lost()) return;
    near.find(usable)?.focus();
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

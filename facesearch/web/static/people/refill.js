// Buttons that are drawn anew when somebody changes: only where they differ, and the keyboard's focus stays among them.

import { fill } from "../frame/dom.js";

const drawn = new WeakMap(); // element -> signature

/**
 * Replaces what an element holds, where the signature of what it is to hold differs.
 * @param {HTMLElement} element
 * @param {unknown} signature plain values that tell one content from another
 * @param {() => (HTMLElement|false|null)[]} make
 */
export function refill(element, signature, make) {
  const wanted = JSON.stringify(signature);
  if (drawn.get(element) === wanted) return;
  drawn.set(element, wanted);
  const focused = element.contains(document.activeElement) ? document.activeElement : null;
  fill(element, ...make());
  if (focused) (sameIn(element, focused) ?? element.querySelector("button, a"))?.focus({ preventScroll: true });
}

/** What does the same as an element that was there before. */
function sameIn(element, { dataset: { act } }) {
  return act && element.querySelector(`[data-act="${act}"]`);
}

/** Says what an element does, so that the focus finds it again. */
export function acting(act, element) {
  element.dataset.act = act;
  return element;
}

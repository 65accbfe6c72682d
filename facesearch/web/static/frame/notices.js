// What the page says by itself: notices in a corner, a quiet banner, and two live regions for who hears the page.

import { frame } from "../texts.js";
import { button, fill, h } from "./dom.js";

const STAYS_MS = 7_000;

const shown = h("section", { id: "notices", "aria-label": frame.notices });
const banner = h("div", { id: "banner", role: "status", hidden: true });
const polite = h("p", { id: "say", class: "unseen", role: "status", "aria-live": "polite" });
const urgent = h("p", { id: "alarm", class: "unseen", role: "alert" });
const slots = new Map();
let before = null; // what had the focus before a notice

/** The elements that belong at the end of the document. */
export const regions = [shown, polite, urgent];
/** The banner's place, above the page. */
export const bannerPlace = banner;

/** Says something to who hears the page. */
export function say(text) {
  speak(polite, text);
}

/**
 * A notice. One with `stays` is shown until it is closed; `slot` replaces the notice that has the same slot.
 * @param {string|Node} text
 * @param {{kind?: "done"|"failed"|"plain", actions?: {words: string, run: () => void, key?: string}[], stays?: boolean,
 *   slot?: string, closed?: () => void}} [options] `closed` is called when it is gone
 * @returns {() => void} closes it
 */
export function notice(text, { kind = "plain", actions = [], stays = kind === "failed", slot, closed } = {}) {
  const element = h("div", { class: `notice ${kind}` }, h("p", {}, text));
  const close = () => element.isConnected && (gone(element, slot), closed?.());
  const buttons = actions.map(({ words, run, key }) => button(words, () => (close(), run()), { kind: "quiet", key }));
  element.append(h("div", { class: "notice-actions" }, ...buttons, closing(close)));
  if (slot) replace(slot, close);
  shown.prepend(element);
  speak(kind === "failed" ? urgent : polite, element.firstChild.textContent);
  if (!stays) fade(element, close);
  return close;
}

/** An error as a notice: its sentence. `retry` adds a button. */
export function failure(error, { retry, ...options } = {}) {
  const actions = retry ? [{ words: frame.retry, run: retry }] : [];
  return notice(error.message, { kind: "failed", actions, ...options });
}

/** Shows a line above the page, or none. */
export function showBanner(text, kind = "plain") {
  if (banner.textContent === (text ?? "")) return;
  banner.className = kind;
  banner.hidden = !text;
  fill(banner, text);
}

function closing(close) {
  return h("button", { type: "button", class: "button quiet icon", "aria-label": frame.close, on: { click: close } }, "×");
}

function replace(slot, close) {
  slots.get(slot)?.();
  slots.set(slot, close);
}

function gone(element, slot) {
  const hadFocus = element.contains(document.activeElement);
  element.remove();
  if (slot) slots.delete(slot);
  if (!hadFocus) return;
  const next = before?.isConnected ? before : document.getElementById("main");
  next?.focus({ preventScroll: true });
}

shown.addEventListener("focusin", ({ relatedTarget }) => {
  if (relatedTarget && !shown.contains(relatedTarget)) before = relatedTarget;
});

function fade(element, close) {
  let timer = setTimeout(close, STAYS_MS);
  const wait = () => clearTimeout(timer);
  const again = () => {
    wait();
    timer = setTimeout(close, STAYS_MS);
  };
  for (const event of ["pointerenter", "focusin"]) element.addEventListener(event, wait);
  for (const event of ["pointerleave", "focusout"]) element.addEventListener(event, again);
}

function speak(region, text) {
  region.textContent = region.textContent === text ? `${text}\u00a0` : text; // the same again is said again
}

// Keys of one letter. They do nothing while somebody types or answers a dialog, and can be switched off.

import { isAsking } from "./dialogs.js";
import { isTyping } from "./dom.js";

const OFF = "facesearch.keys"; // in localStorage: "off"
const LETTER = /^\p{L}$/u;

/** @typedef {{key: string, words: string, run: (event: KeyboardEvent) => void, shown?: string}} Key
 * `key` is as KeyboardEvent.key has it, a letter small; one whose `words` are empty is left out of the help. */

/** @type {Key[]} */
const always = [];
/** @type {Key[]} */
let ofView = [];

/** Keys that work on every page. */
export function addKeys(keys) {
  always.push(...keys);
}

/** The keys of the page that is shown; those of the one before are forgotten. */
export function useKeys(keys) {
  ofView = keys;
}

/** All keys that work now: those of the page, then those of every page. */
export function keysNow() {
  return { ofView: ofView.filter((key) => key.words), always: always.filter((key) => key.words) };
}

/** Whether letters are keys. */
export function areOn() {
  return localStorage.getItem(OFF) !== "off";
}

/** Switches them. */
export function switchKeys(on) {
  if (on) localStorage.removeItem(OFF);
  else localStorage.setItem(OFF, "off");
}

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (isTyping(event.target) || isAsking() || (event.key.length === 1 && !areOn())) return;
  if (pressesWhatHasFocus(event)) return;
  const name = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (event.repeat && LETTER.test(name)) return; // held: nobody means to say it again and again, unseen
  const found = [...ofView, ...always].find((key) => key.key === name);
  if (!found) return;
  event.preventDefault();
  found.run(event);
});

function pressesWhatHasFocus(event) {
  return ["Enter", " "].includes(event.key) && event.target.closest?.("a, button, summary, [role=option]") !== null;
}

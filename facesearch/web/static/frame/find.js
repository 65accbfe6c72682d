// Somebody found by name, from every page.

import { NameBox } from "../people/naming.js";
import { frame } from "../texts.js";
import { h } from "./dom.js";
import { navigate } from "./router.js";

const box = new NameBox({ label: frame.find, placeholder: frame.find, pickOnly: true, kind: "dropping", take: go, leave });
let before = null;

/** The box, for the bar. */
export function findBox() {
  return h("div", { class: "find", role: "search" }, box.element);
}

/** Puts the focus there. */
export function focusFind() {
  before = document.activeElement;
  box.begin({});
  box.focus();
}

function go({ id }) {
  box.input.blur();
  navigate(`/people/${id}`);
}

function leave() {
  box.input.value = "";
  if (before instanceof HTMLElement && before.isConnected) before.focus({ preventScroll: true });
  else box.input.blur();
}

// Questions that must be answered before the page goes on. Escape and the button "Cancel" answer null.

import { frame } from "../texts.js";
import { button, h } from "./dom.js";

/**
 * Asks one thing.
 * @param {{title: string, text?: string|Node, choices: {value: unknown, words: string|Node, kind?: string}[]}} question
 * @returns {Promise<unknown>} the value of the choice that was taken, or null
 */
export function ask({ title, text, choices }) {
  return shown(title, (close) => [
    text && h("p", {}, text),
    h(
      "div",
      { class: "dialog-choices" },
      ...choices.map((each) => button(each.words, () => close(each.value), { kind: each.kind ?? "plain" })),
      button(frame.cancel, () => close(null), { kind: "quiet" }),
    ),
  ]);
}

/**
 * Shows a dialog whose content is made by a function that gets what closes it with a value. The answer is given at
 * once, not when the browser says that the dialog is closed: by then the next key may have been pressed.
 * @param {string} title
 * @param {(close: (value: unknown) => void) => (Node|null|undefined|false)[]} content
 * @param {string} [kind] a class
 * @returns {Promise<unknown>}
 */
export function shown(title, content, kind = "") {
  const before = document.activeElement;
  return new Promise((resolve) => {
    const heading = h("h2", { id: "dialog-title", tabindex: "-1" }, title);
    const dialog = h("dialog", { class: `dialog ${kind}`, "aria-labelledby": "dialog-title" }, heading);
    const close = (value) => {
      if (!dialog.isConnected) return;
      dialog.close();
      dialog.remove();
      if (before instanceof HTMLElement && before.isConnected) before.focus({ preventScroll: true });
      resolve(value);
    };
    dialog.append(...content(close).filter(Boolean));
    dialog.addEventListener("close", () => close(null)); // the browser closed it, as on Escape
    dialog.addEventListener("click", (event) => event.target === dialog && close(null));
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** Whether a dialog is open. */
export function isAsking() {
  return document.querySelector("dialog[open]") !== null;
}

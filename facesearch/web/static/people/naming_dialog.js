// The name box as a dialog, where a page has no place for it.

import { shown } from "../frame/dialogs.js";
import { button, h } from "../frame/dom.js";
import { frame, naming } from "../texts.js";
import { NameBox } from "./naming.js";

/**
 * Asks for a name, or for somebody who is there.
 * @param {{title: string, about?: {person?: number, face?: number}, except?: number|null, pickOnly?: boolean,
 *   value?: string}} options `about` whom the likeliest names are asked for
 * @returns {Promise<import("./naming.js").Taken|null>}
 */
export function askName({ title, about = {}, except = null, pickOnly = false, value = "" }) {
  const label = pickOnly ? naming.somebody : naming.name;
  let box = null;
  const answer = shown(title, (close) => {
    box = new NameBox({ label, placeholder: label, pickOnly, take: close, leave: () => close(null) });
    box.begin(about, { except });
    box.input.value = value;
    const take = button(pickOnly ? naming.choose : naming.take, () => box.enter(), { kind: "main" });
    return [box.element, h("div", { class: "dialog-choices" }, take, button(frame.cancel, () => close(null), { kind: "quiet" }))];
  }, "naming-dialog");
  box.focus(); // at once: the first letter of a name may follow the key that asked for it
  return answer;
}

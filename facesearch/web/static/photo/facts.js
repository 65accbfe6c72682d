// What is known of a photo itself: its date, its size, and where its file is, as text that can be copied.

import { button, h, isolated } from "../frame/dom.js";
import { notice } from "../frame/notices.js";
import { photoTexts as texts } from "../texts.js";

/** The name of a file, out of its path. */
export function fileOf(path) {
  return path.split(/[\\/]/).at(-1);
}

/** The facts of a photo. `repeat` is called where one person may be there twice. */
export function factsOf({ photo, width, height, taken, repeats }, repeat) {
  const path = h("span", { class: "path", id: "photo-path" }, isolated(photo));
  return h(
    "section",
    { class: "photo-facts", "aria-label": texts.facts },
    h(
      "dl",
      {},
      h("dt", {}, texts.taken), h("dd", {}, taken ? texts.dateOf(taken) : texts.noDate),
      h("dt", {}, texts.size), h("dd", {}, width ? texts.pixels(width, height) : texts.unknown),
      h("dt", {}, texts.path), h("dd", {}, path, " ", button(texts.copy, () => copied(photo), { kind: "quiet", label: texts.copyPath })),
    ),
    width && collageSwitch(repeats, repeat),
  );
}

function collageSwitch(repeats, repeat) {
  const given = { type: "checkbox", checked: repeats, disabled: repeats };
  const box = h("input", { ...given, "aria-label": texts.collage, "aria-describedby": "collage-why", on: { change: repeat } });
  return h("label", { class: "switch" }, box, h("span", {}, texts.collage, h("small", { id: "collage-why" }, texts.collageWhy)));
}

async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    notice(texts.copied, { slot: "done", kind: "done" });
  } catch {
    getSelection().selectAllChildren(document.getElementById("photo-path"));
    notice(texts.copyByHand, { slot: "done" });
  }
}

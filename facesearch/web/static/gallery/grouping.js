// Who is who: all faces put into groups anew, more or less readily.

import { post } from "../frame/api.js";
import { button, fill, h } from "../frame/dom.js";
import { failure, say } from "../frame/notices.js";
import { poke } from "../frame/state.js";
import { groupingTexts as texts } from "../texts.js";

const WAIT_MS = 30 * 60_000; // a million faces take minutes
const MODES = ["careful", "balanced", "eager"];

/** The part of the page that groups anew. */
export function groupingPanel() {
  const words = h("p", {}, texts.words);
  const modes = h("select", { id: "grouping-mode" });
  fill(modes, ...["", ...MODES].map((mode) => h("option", { value: mode }, texts.mode(mode))));
  const start = button(texts.start, () => group());
  const label = h("label", { for: "grouping-mode" }, texts.how);
  const row = h("div", { class: "row" }, label, modes, start);

  async function group() {
    start.disabled = true;
    fill(words, texts.running);
    try {
      const body = { again: true, ...(modes.value && { mode: modes.value }) };
      const found = texts.found(await post("/api/people/group", body, { wait: WAIT_MS }));
      fill(words, found);
      say(found);
      poke();
    } catch (error) {
      fill(words, texts.words);
      failure(error);
    }
    start.disabled = false;
  }

  const title = h("h2", { id: "grouping-title" }, texts.title);
  return h("section", { class: "card grouping", "aria-labelledby": "grouping-title" }, title, words, row);
}

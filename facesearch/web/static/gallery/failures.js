// What could not be read, grouped by what is to be done about it.

import { get } from "../frame/api.js";
import { button, h, isolated } from "../frame/dom.js";
import { failureTexts as texts } from "../texts.js";

const READ = 500; // at once: the most that the server gives
const SHOWN = 20; // of a group, until more are asked for

/** What failed, of the gallery's facts: {total, failures, skipped}. */
export async function failuresIn({ skipped }) {
  return { ...(await get("/api/failures", { first: 0, n: READ })), skipped };
}

/** The sections of what failed; a sentence where nothing did. */
export function failuresOf({ total, failures, skipped: kinds }) {
  const title = h("h2", { id: "failures-title" }, texts.title);
  const skipped = kinds.map((each) => h("li", {}, texts.skipped(each), each.install && h("code", {}, each.install)));
  return [
    title,
    total === 0 ? h("p", { class: "quiet-text" }, texts.none) : h("p", { class: "quiet-text" }, texts.total(total)),
    ...[...Map.groupBy(failures, kindOf)].map(([kind, all]) => groupOf(kind, all)),
    total > failures.length && h("p", { class: "quiet-text" }, texts.more(total - failures.length)),
    skipped.length > 0 && othersOf(skipped, kinds.some(({ install }) => install)),
  ];
}

// Open where something can be done: a package reads them.
function othersOf(rows, open) {
  return h("details", { class: "failure-group", open }, h("summary", {}, texts.others), h("ul", {}, rows));
}

function kindOf({ status, cause }) {
  return `${status} ${cause ?? ""}`;
}

function groupOf(kind, all) {
  const [status, cause] = kind.split(" ");
  const list = h("ul", { class: "failure-list" }, all.slice(0, SHOWN).map(rowOf));
  const rest = all.slice(SHOWN);
  const more = button(texts.showMore(rest.length), () => {
    list.append(...rest.map(rowOf));
    list.children[SHOWN].querySelector(".path").focus();
    more.remove();
  });
  return h(
    "details",
    { class: "failure-group", open: all.length <= 3 },
    h("summary", {}, texts.kind(status, all.length)),
    h("p", {}, texts.todo(status, cause)),
    list,
    rest.length > 0 && more,
  );
}

function rowOf({ photo, reason }) {
  return h("li", {}, h("span", { class: "path", tabindex: "-1" }, isolated(photo)), reason && h("span", { class: "quiet-text" }, reason));
}

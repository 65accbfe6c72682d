// What a search or a comparison found: matches with their judged similarity against the threshold, and why.

import { button, h, isolated } from "../frame/dom.js";
import { facePicture } from "../frame/pictures.js";
import { send } from "../frame/queue.js";
import { joining } from "../photo/writes.js";
import { searchTexts as texts } from "../texts.js";

const AT_ONCE = 12; // pictures that are fetched before they are scrolled to

/**
 * The answer to a search as a section: who it is, the matches, and what "same" means here. `asked` is the face of the
 * gallery that was asked about, null for a photo that was sent: then a match can be said to be of the same person.
 */
export function resultsOf(answer, asked = null) {
  const [best] = answer.matches;
  return [
    h("h2", { class: "found", tabindex: "-1" }, ...headline(best)),
    best ? h("p", {}, texts.bestWhy(best, answer)) : null,
    answer.matches.length ? whyOf(answer) : null,
    h(
      "ol",
      { class: "matches", "aria-label": texts.matches },
      answer.matches.map((match, i) => h("li", { class: "match" }, ...matchOf(match, answer, asked, i))),
    ),
  ];
}

function headline(best) {
  if (!best) return [texts.nothingHere];
  if (best.same === null) return [texts.cannotTell];
  if (!best.same) return [texts.nobodyAlike];
  if (best.person) return [texts.thisIs, " ", isolated(best.person)];
  return [best.label ? texts.thisIsGroup : texts.thisIsSomebody];
}

function matchOf(match, answer, asked, i) {
  const who = match.label ? (match.person ?? texts.group) : texts.nobody;
  const name = match.person_id
    ? h("a", { class: "match-name", href: `/people/${match.person_id}?face=${match.face_id}` }, isolated(who))
    : h("span", { class: "match-name" }, who);
  return [
    h(
      "a",
      { class: "match-face", href: `/photos/${match.photo_id}?face=${match.face_id}`, "aria-label": texts.photoOf(who) },
      facePicture(match.face_id, { size: 96, lazy: i >= AT_ONCE }),
    ),
    h(
      "div",
      { class: "match-words" },
      h("p", {}, name, " ", verdictOf(match.same)),
      barOf(match.judged, answer.threshold, match.same),
      h("p", { class: "match-facts" }, texts.matchFacts(match)),
      h("p", { class: "match-why" }, texts.matchWhy(match, answer)),
      asked && joinButton(asked, match),
    ),
  ];
}

// Says that a match is the person who was asked about. Nothing is left to say where both are one already.
function joinButton(asked, match) {
  if (!joining(asked, match)) return null;
  const mark = (isJoined) => {
    made.setAttribute("aria-pressed", String(isJoined));
    made.disabled = isJoined;
  };
  const made = button(texts.join, () => {
    mark(true);
    send({ ...joining(asked, match), again: () => mark(true), revert: () => mark(false) });
  });
  return made;
}

/** Whether two faces are one person, as a badge of words. */
export function verdictOf(same) {
  const kind = same === null ? "unknown" : same ? "yes" : "no";
  return h("span", { class: `verdict ${kind}` }, texts.verdict(same));
}

/** The judged value as a bar, with a line in its middle, where the threshold is. */
export function barOf(judged, threshold, same) {
  const bar = h(
    "div",
    { class: `judged-bar ${same ? "yes" : "no"}`, role: "img", "aria-label": texts.barWords(judged, threshold) },
    h("span", { class: "judged-fill" }),
    threshold === null ? null : h("span", { class: "judged-line" }),
  );
  bar.style.setProperty("--judged", String(along(judged, threshold)));
  return h("div", { class: "judged" }, bar, h("span", { class: "judged-value", "aria-hidden": "true" }, texts.number(judged)));
}

// Where a value lies on the bar, 0..1: the threshold in the middle, the same face at the end. Models differ in how alike
// strangers are to them, and so only the way from the threshold to 1 says how far a value is over or under it.
function along(judged, threshold) {
  const at = threshold === null || threshold >= 1 ? judged : (1 + (judged - threshold) / (1 - threshold)) / 2;
  return Math.max(0.01, Math.min(1, at));
}

/** Plain sentences on the threshold and on chance, folded. */
export function whyOf(answer) {
  return h(
    "details",
    { class: "why" },
    h("summary", {}, texts.why),
    h("ul", {}, texts.whySentences(answer).map((sentence) => h("li", {}, sentence))),
  );
}

/** The verdict on two faces. */
export function comparisonOf(verdict) {
  return [
    h("h2", { class: "found", tabindex: "-1" }, texts.compared(verdict.same)),
    barOf(verdict.judged, verdict.threshold, verdict.same),
    h("p", {}, texts.comparedWhy(verdict)),
    whyOf(verdict),
  ];
}

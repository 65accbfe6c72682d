// Beside a photo: who is in it, and what can be said about the face that is chosen.

import { button, h, isolated } from "../frame/dom.js";
import { facePicture } from "../frame/pictures.js";
import { photoTexts as texts } from "../texts.js";

/** How a face or a mark is called: its person's name, or what it is. */
export function calledBy(face) {
  if (face.label === null || face.label === undefined) return texts.nobody;
  return isNamed(face) ? face.label : texts.group;
}

/** Whether somebody said who this is. A group that nobody has named is called by its number. */
export function isNamed(face) {
  return Boolean(face.label) && !/^@\d+$/.test(face.label);
}

/** A list of everybody in the photo, in the order of their boxes. `choose` gets the item, `cut(box, side)` cuts a face
 * out of the photo. */
export function peopleList(items, choose, cut) {
  if (!items.length) return h("p", { class: "empty" }, texts.nobodyHere);
  return h(
    "ol",
    { class: "in-photo", "aria-label": texts.inPhotoList },
    items.map((item) =>
      h(
        "li",
        {},
        h(
          "button",
          { type: "button", class: "in-photo-face", "aria-pressed": String(Boolean(item.isChosen)), "data-key": item.key,
            on: { click: (event) => choose(item, event.currentTarget) } },
          cut(item.box, 48),
          h("span", { class: "in-photo-name" }, isolated(calledBy(item.face))),
          item.face.unsure ? h("span", { class: "unsure" }, texts.unsure) : null,
        ),
      ),
    ),
  );
}

/** What can be done about one face: `acts` are functions by name, see photo.js. */
export function chosenPanel(face, acts) {
  const heading = h("h2", { tabindex: "-1", class: "chosen-name" }, isolated(calledBy(face)));
  return h(
    "section",
    { class: "chosen", "aria-label": texts.chosen(calledBy(face)) },
    h(
      "div",
      { class: "chosen-head" },
      face.face_id ? facePicture(face.face_id, { size: 96 }) : null,
      h("div", {}, heading, h("p", { class: "chosen-why" }, texts.whySo(face))),
      button("×", acts.leave, { kind: "quiet icon", label: texts.close }),
    ),
    h("div", { class: "chosen-acts" }, face.face_id ? ofFace(face, acts) : ofMark(face, acts)),
  );
}

function ofFace(face, acts) {
  const her = isNamed(face) ? face.label : null;
  return [
    button(her ? texts.somebodyElse : texts.nameIt, acts.name, { kind: "main", key: "N" }),
    face.person ? h("a", { class: "button", href: `/people/${face.person}?face=${face.face_id}` }, texts.goTo(her)) : null,
    face.person ? button(texts.notThem(her), acts.part) : null,
    h("a", { class: "button", href: `/search?face=${face.face_id}` }, texts.searchIt),
    her ? button(texts.makeCover, acts.cover) : button(texts.stranger, acts.stranger, { key: "I" }),
    button(texts.notAFace, acts.notAFace, { key: "F" }),
  ];
}

function ofMark(mark) {
  return [
    h("p", {}, texts.isMark),
    mark.person ? h("a", { class: "button", href: `/people/${mark.person}` }, texts.goTo(mark.label)) : null,
  ];
}

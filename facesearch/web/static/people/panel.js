// Who is looked at, beside the grid of people: large enough to know them, with the name box and a button for each act.

import { faceImage, get, wasAborted } from "../frame/api.js";
import { button, fill, h, isolated, picture, show } from "../frame/dom.js";
import { count, frame, panel, span } from "../texts.js";
import { NameBox } from "./naming.js";
import { acting, refill } from "./refill.js";

const SAMPLES = 8;
const WAITING = "nobody yet";
const REST_MS = 120; // somebody is looked at so long before more of their faces are asked for

/**
 * The panel. `does` are the acts by name: name(taken), open, ignore, hide, notFace, join, clear, close.
 */
export class Panel {
  constructor(does) {
    this.does = does;
    this.box = new NameBox({ label: panel.nameLabel, placeholder: panel.placeholder, take: does.name, leave: does.leave });
    this.cover = h("div", { class: "panel-cover" });
    this.facts = h("div", { class: "panel-facts" });
    this.samples = h("div", { class: "panel-samples", "aria-hidden": "true" });
    this.buttons = h("div", { class: "panel-buttons" });
    this.one = h("div", { class: "panel-one" }, this.cover, this.facts, this.samples, this.box.element, this.buttons);
    this.several = h("div", { class: "panel-several", hidden: true });
    this.hint = h("p", { class: "quiet-text panel-hint" }, panel.hint);
    const close = button(panel.close, () => does.close(), { kind: "quiet panel-close" });
    this.element = h("aside", { class: "panel", "aria-label": panel.title }, close, this.hint, this.several, this.one);
    this.show(undefined, null);
  }

  /** Shows a person, a group or a face; undefined shows nobody. With `isTyping` what is in the name box stays: it is
   * for somebody who has arrived only now. */
  show(item, list, { isTyping = false } = {}) {
    this.one.hidden = item === undefined;
    this.hint.hidden = item !== undefined || !this.several.hidden;
    if (item === undefined) return this.stopSampling();
    const isFace = list === "alone";
    const shown = isFace ? `f${item.face_id}` : `p${item.id}`;
    const isOther = this.shown !== shown;
    this.shown = shown;
    this.item = item;
    if (isOther) this.begin(item, isFace, isTyping);
    this.prompt();
    fill(this.facts, ...(isFace ? factsOfFace(item) : factsOfPerson(item)));
    refill(this.buttons, [list, isFace ? [item.photo_id, item.face_id] : item.faces], () => this.actsFor(item, list));
  }

  /** Shows that somebody is meant who has not arrived; they can be named. */
  wait() {
    this.one.hidden = false;
    this.hint.hidden = true;
    if (this.shown === WAITING) return;
    this.stopSampling();
    this.shown = WAITING;
    this.item = null;
    this.box.begin({});
    this.prompt();
    fill(this.cover, faceOf(null, 224));
    fill(this.facts, h("h2", {}, frame.loading));
    fill(this.samples);
    refill(this.buttons, null, () => []);
  }

  /** What the name box asks. */
  prompt() {
    this.box.input.placeholder = this.n > 1 ? panel.several : this.item?.name ? panel.anotherName : panel.placeholder;
  }

  stopSampling() {
    this.stop?.abort();
    clearTimeout(this.timer);
  }

  /** Asks for pictures again, the next time that somebody is shown: some could not be had. */
  forget() {
    this.shown = null;
  }

  begin(item, isFace, isTyping) {
    this.stopSampling();
    const face = isFace ? item.face_id : item.cover;
    fill(this.cover, face && faceOf(face, 224));
    const n = isFace ? 0 : Math.min(SAMPLES, item.faces - 1);
    fill(this.samples, ...Array.from({ length: n }, () => faceOf(null, 112))); // their places, so that nothing moves
    const about = isFace ? { face: item.face_id } : { person: item.id };
    this.box.begin(about, { except: isFace ? null : item.id, keeps: isTyping });
    if (!isFace && item.faces > 1) this.timer = setTimeout(() => this.sample(item), REST_MS);
  }

  async sample(item) {
    this.stop = new AbortController();
    try {
      const { faces } = await get(`/api/people/${item.id}/faces`, { n: SAMPLES + 1 }, { signal: this.stop.signal });
      const others = faces.filter((each) => each.face_id !== item.cover).slice(0, SAMPLES);
      others.forEach((each, i) => this.samples.children[i] && show(this.samples.children[i], faceImage(each.face_id)));
    } catch (error) {
      if (!wasAborted(error)) fill(this.samples); // the cover is enough to go on
    }
  }

  /** Shows how many are selected, and what can be done with them. */
  showSelected(selected, canJoin) {
    const n = selected.length;
    this.several.hidden = n === 0;
    this.element.classList.toggle("selecting", n > 0);
    this.hint.hidden = n > 0 || !this.one.hidden;
    this.one.classList.toggle("lesser", n > 1);
    this.n = n;
    this.prompt();
    if (!n) return;
    const covers = selected.slice(0, 12).map(({ item }) => faceOf(item.cover ?? item.face_id, 112));
    const { join, ignore, hide, clear } = this.does;
    fill(
      this.several,
      h("h2", {}, panel.selected(n)),
      h("div", { class: "panel-samples", "aria-hidden": "true" }, ...covers),
      button(panel.join, join, { kind: "main", key: "J", disabled: !canJoin }),
      button(panel.strangers, ignore, { key: "I" }),
      button(panel.hide, hide, { key: "H" }),
      button(panel.clear, clear, { kind: "quiet", key: "Esc" }),
    );
  }

  actsFor(item, list) {
    const { open, ignore, hide, notFace } = this.does;
    if (list === "alone") {
      const photo = h("a", { class: "button plain", href: `/photos/${item.photo_id}?face=${item.face_id}` }, panel.photo);
      return [
        acting("open", photo),
        acting("ignore", button(panel.stranger, ignore, { key: "I" })),
        acting("notFace", button(panel.notFace, notFace, { key: "F" })),
      ];
    }
    const all = acting("open", button(panel.all(count(item.faces, "face")), open, { key: "O" }));
    const stranger = list !== "strangers" && acting("ignore", button(panel.stranger, ignore, { key: "I" }));
    const hiding = acting("hide", button(list === "hidden" ? panel.show : panel.hide, hide, { key: "H" }));
    return [all, stranger, hiding];
  }
}

function faceOf(face, side) {
  return picture(face ? faceImage(face, side) : null, { width: side, height: side });
}

function factsOfPerson(person) {
  const name = person.name ? isolated(person.name) : panel.unnamed;
  const numbers = [count(person.faces, "face"), person.photos && panel.inPhotos(count(person.photos, "photo"))];
  return [h("h2", {}, name), h("p", {}, numbers.filter(Boolean).join(" ")), h("p", {}, span(person.first, person.last))];
}

function factsOfFace(face) {
  return [h("h2", {}, panel.alone), h("p", {}, span(face.taken, face.taken))];
}

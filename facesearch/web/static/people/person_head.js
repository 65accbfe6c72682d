// The head of a person's page: who it is, in numbers, and the buttons for what can be done with them or with the faces
// that are selected.

import { faceImage } from "../frame/api.js";
import { button, fill, h, isolated, picture, show } from "../frame/dom.js";
import { count, number, person as words, span } from "../texts.js";
import { acting, refill } from "./refill.js";

/** The head. `does` are the acts by name. */
export class PersonHead {
  constructor(does) {
    this.does = does;
    this.cover = picture(null, { class: "person-cover", width: 224, height: 224 });
    this.heading = h("h1", {});
    this.facts = h("p", { class: "quiet-text" });
    this.tabs = h("div", { class: "chips", role: "group", "aria-label": words.views });
    this.selecting = acting("select", button(words.select, does.select, { kind: "quiet" })); // one, which stays pressed
    this.selecting.setAttribute("aria-pressed", "false");
    this.ofPerson = h("div", { class: "row acts" });
    this.ofFaces = h("div", { class: "row acts selected-acts", role: "group", "aria-label": words.withSelected, hidden: true });
    const who = h("div", { class: "person-who" }, this.heading, this.facts, this.tabs);
    this.element = h("div", { class: "person-head" }, this.cover, who, h("div", { class: "person-acts" }, this.ofPerson, this.ofFaces));
  }

  /** Draws a person. @param {"faces"|"photos"} view which of theirs is shown */
  draw(person, view) {
    const url = person.cover ? faceImage(person.cover, 224) : null;
    if (this.url !== url) show(this.cover, url);
    this.url = url;
    fill(this.heading, person.name ? isolated(person.name) : words.unnamed);
    fill(this.facts, ...factsOf(person));
    refill(this.tabs, [person.faces, person.photos, person.unsure, view], () => this.tabsOf(person, view));
    refill(this.ofPerson, [Boolean(person.name), person.kind, person.hidden], () => this.actsOf(person));
  }

  tabsOf(person, view) {
    const tab = (act, text, isShown) => {
      const found = acting(act, button(text, this.does[act], { kind: "chip" }));
      found.setAttribute("aria-pressed", String(isShown));
      return found;
    };
    return [
      tab("faces", count(person.faces, "face"), view === "faces"),
      tab("photos", count(person.photos, "photo"), view === "photos"),
      person.unsure > 0 && acting("unsure", button(words.unsure(number(person.unsure)), this.does.unsure, { kind: "chip warn" })),
    ];
  }

  actsOf(person) {
    const { name, join, ignore, hide } = this.does;
    const isStranger = person.kind === "stranger";
    return [
      acting("name", button(person.name ? words.rename : words.name, name, { key: "N", kind: person.name ? "plain" : "main" })),
      acting("join", button(words.join, join, { key: "J" })),
      !isStranger && acting("ignore", button(words.ignore, ignore, { key: "I" })),
      acting("hide", button(person.hidden ? words.show : words.hide, hide, { key: "H" })),
      this.selecting,
    ];
  }

  /** Shows what can be done with n selected faces, in the place of what is done with the person. */
  select(n, person) {
    this.ofPerson.hidden = n > 0;
    this.ofFaces.hidden = n === 0;
    if (!n) return;
    const { part, move, notFace, cover, photo, clear } = this.does;
    const kept = document.activeElement?.closest?.(".selected-acts") ? document.activeElement.dataset.act : null;
    fill(
      this.ofFaces,
      h("strong", { role: "status" }, words.selected(n)),
      acting("part", button(person.name ? words.part : words.partGroup, part, { key: "P" })),
      acting("move", button(words.move, move, { key: "M" })),
      acting("notFace", button(words.notFace, notFace, { key: "F" })),
      n === 1 && acting("cover", button(words.cover, cover, { key: "C" })),
      n === 1 && acting("photo", button(words.photo, photo, { key: "O" })),
      acting("clear", button(words.clear, clear, { kind: "quiet", key: "Esc" })),
    );
    if (kept) this.ofFaces.querySelector(`[data-act=${kept}]`)?.focus();
  }
}

function factsOf(person) {
  const kind = person.hidden ? words.isHidden : person.kind === "stranger" ? words.isStranger : null;
  return [[span(person.first, person.last), kind].filter(Boolean).join(" · ")];
}

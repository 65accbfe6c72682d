// A photo, large: who is in it, said by a click on a face; somebody added whom facesearch has not found.

import { get, photoImage } from "../frame/api.js";
import { button, fill, h, isolated, set } from "../frame/dom.js";
import { useKeys } from "../frame/keys.js";
import { failure, say } from "../frame/notices.js";
import { cutOut } from "../frame/pictures.js";
import { reading, send } from "../frame/queue.js";
import { keepPlace, navigate } from "../frame/router.js";
import { now, watch } from "../frame/state.js";
import { photoTexts as texts } from "../texts.js";
import { fetchAhead, fetched, makeOld } from "./ahead.js";
import { boxLayer, inReadingOrder, overlap } from "./boxes.js";
import { factsOf, fileOf } from "./facts.js";
import { drawBox } from "./mark.js";
import { calledBy, chosenPanel, isNamed, peopleList } from "./panel.js";
import { onSwipe } from "./swipe.js";
import * as writes from "./writes.js";
import { makeStage } from "./zoom.js";

const COVERED = 0.3; // of what two boxes cover together: then they are about one face, as the server has it

let stepped = null; // "previous" or "next" where that is how the photo was come to: its button keeps the focus
let areBoxesShown = true;

class Photo {
  #chosen = null; // the key of a face or mark
  #drawing = null;
  #shown = ""; // the faces as they are drawn

  constructor(main, photo, query) {
    this.photo = photo;
    this.query = query;
    this.main = main;
    this.person = Number(query.get("person")) || null;
    this.size = { width: photo.width, height: photo.height };
    this.panel = h("div", { class: "photo-panel" });
    this.facts = h("div", {});
    this.tools = h("div", { class: "photo-draw" });
    this.#draw();
  }

  #draw() {
    const { photo } = this;
    const stage = photo.width ? makeStage(this.size, (side) => photoImage(photo.photo_id, side), this.#alt()) : null;
    this.stage = stage;
    this.boxes = button(texts.boxes, () => this.showBoxes(!areBoxesShown), { key: "B", disabled: !stage });
    this.add = button(texts.addPerson, () => this.addPerson(), { key: "A", disabled: !stage });
    const why = photo.reason ? texts.unreadable(photo.reason) : texts.cannotShow;
    const seen = stage ? stage.element : h("p", { class: "empty" }, why);
    const bar = h("div", { class: "photo-bar" }, h("div", { class: "row" }, this.add, this.boxes), stage?.controls);
    fill(
      this.main,
      h(
        "div",
        { class: "page photo-page" },
        h("div", { class: "photo-head" }, this.#heading(), this.#steps()),
        h("div", { class: "photo-main" }, bar, seen),
        h("aside", { class: "photo-side", "aria-label": texts.aside }, this.tools, this.panel, this.facts),
      ),
    );
    this.showBoxes(areBoxesShown);
    if (stage) onSwipe(stage.element, () => !this.#drawing && !stage.isZoomed(), (way) => this.go(way));
    this.show(photo);
    useKeys(this.#keys());
    if (stepped) this.main.querySelector(`[data-step="${stepped}"]:not(:disabled)`)?.focus();
    stepped = null;
    const next = () => [photo.next, photo.previous].forEach((id) => id && fetchAhead(id, this.person, stage?.side));
    if (stage) stage.picture.addEventListener("load", next, { once: true });
    else next();
  }

  #alt() {
    const names = this.photo.faces.filter(isNamed).map((face) => face.label);
    return texts.alt(fileOf(this.photo.photo), names);
  }

  #heading() {
    const name = h("h1", { tabindex: "-1" }, isolated(fileOf(this.photo.photo)));
    if (!this.person) return h("div", {}, name);
    const face = this.photo.faces.find((each) => each.person === this.person);
    const href = `/people/${this.person}${face ? `?face=${face.face_id}` : ""}`;
    const back = h("a", { href }, texts.among(face && isNamed(face) ? face.label : null));
    return h("div", {}, name, h("p", {}, back));
  }

  #steps() {
    const step = (way, words, key) => {
      const made = button(words, () => this.go(way), { key, disabled: !this.photo[way] });
      set(made, "data-step", way);
      return made;
    };
    return h("div", { class: "row" }, step("previous", texts.previous, "←"), step("next", texts.next, "→"));
  }

  /** Shows who is in the photo, as the server has it now or as it will be. */
  show(photo) {
    this.photo = photo;
    const repeat = () => this.write(writes.collage(photo.photo_id));
    if (this.repeats !== photo.repeats) fill(this.facts, factsOf(photo, repeat));
    this.repeats = photo.repeats;
    const now = JSON.stringify([photo.faces, photo.marks, this.#chosen]);
    if (now === this.#shown) return;
    this.#shown = now;
    const back = focusToKeep(this.main);
    this.items = itemsOf(photo, this.#chosen);
    this.stage?.frame.querySelector(".boxes")?.remove();
    if (this.stage) this.stage.picture.after(boxLayer(this.size, this.items, (item) => this.choose(item)));
    const chosen = this.items.find((item) => item.isChosen);
    fill(
      this.panel,
      chosen && chosenPanel(chosen.face, this.#acts(chosen.face)),
      this.items.length > 0 && h("h2", {}, texts.inPhoto(this.items.length)),
      photo.width && peopleList(this.items, (item) => this.choose(item), this.#cut()),
    );
    back();
  }

  #cut() {
    const { stage, size } = this;
    return (box, side) => stage && cutOut(stage.picture, size, box, side);
  }

  /** Marks a face that the address names. */
  point(item) {
    this.#chosen = item.key;
    this.show(this.photo);
  }

  /** Shows the boxes and names, or the photo alone; for all photos that are looked at. */
  showBoxes(areShown) {
    areBoxesShown = areShown;
    set(this.boxes, "aria-pressed", String(areShown));
    this.stage?.element.classList.toggle("plain", !areShown);
  }

  /** Opens what can be said about a face. */
  choose(item) {
    this.#chosen = item.key;
    keepPlace({}, { face: item.face.face_id ?? null });
    this.show(this.photo);
    const heading = this.panel.querySelector(".chosen-name");
    heading.focus({ preventScroll: true });
    heading.closest(".chosen").scrollIntoView({ block: "nearest" });
  }

  /** Closes it, and goes back to the face's box. */
  leave() {
    const key = this.#chosen;
    this.#chosen = null;
    keepPlace({}, { face: null });
    this.show(this.photo);
    (this.main.querySelector(`.box[data-key="${key}"]`) ?? this.main.querySelector("h1")).focus({ preventScroll: true });
  }

  #acts(face) {
    const does = (made) => () => {
      this.leave();
      this.write(made());
    };
    return {
      leave: () => this.leave(),
      name: async () => this.write(await writes.naming(face)),
      part: does(() => writes.part(face)),
      stranger: does(() => writes.stranger(face)),
      cover: does(() => writes.cover(face)),
      notAFace: does(() => writes.notAFace(face)),
    };
  }

  /** Shows what a write will do, and has it done. */
  async write(made) {
    if (!made) return;
    const { moves = (photo) => photo, ...write } = made;
    const before = this.photo;
    const again = () => this.show(moves(this.photo));
    again();
    await send({ ...write, again, revert: () => this.show(before) });
    await this.refresh().catch(failure);
  }

  /** Asks the server what the photo shows now. */
  async refresh() {
    makeOld();
    if (!this.main.isConnected || this.isLeft) return;
    const knewAll = reading();
    const photo = await get(`/api/photos/${this.photo.photo_id}`, { person: this.person });
    if (this.main.isConnected && !this.isLeft && knewAll()) this.show(photo);
  }

  /** Goes to a neighbour, in place of this photo: back returns to where the first one was opened. */
  go(way) {
    const id = this.photo[way];
    if (!id) return say(texts.noMore(way));
    stepped = document.activeElement?.dataset.step ?? null;
    navigate(`/photos/${id}${this.person ? `?person=${this.person}` : ""}`, { replace: true });
  }

  /** Lets the user draw a box about somebody, and asks who it is. */
  addPerson() {
    if (this.#drawing || !this.stage) return;
    const end = () => {
      this.#drawing?.end();
      this.#drawing = null;
      this.stage.frame.classList.remove("drawing");
      fill(this.tools);
      this.add.focus({ preventScroll: true });
    };
    const done = async (box) => {
      const known = this.items.find((item) => overlap(item.box, box) >= COVERED);
      const made = await writes.adding(this.photo, box, known?.face ?? null);
      if (!made) return;
      end();
      this.write(made);
    };
    this.#chosen = null;
    this.show(this.photo);
    this.stage.frame.classList.add("drawing");
    this.#drawing = drawBox({ frame: this.stage.frame, size: this.size, done, left: end, say });
    fill(this.tools, this.#drawing.tools);
  }

  #ofChosen(act) {
    const chosen = this.items.find((item) => item.isChosen && item.face.face_id);
    if (chosen) this.#acts(chosen.face)[act]();
    else say(texts.chooseFirst);
  }

  #keys() {
    const zoom = (by) => () => this.stage?.zoom(by, this.items.find((item) => item.isChosen)?.box);
    return [
      { key: "ArrowLeft", shown: "←", words: texts.previous, run: () => this.go("previous") },
      { key: "ArrowRight", shown: "→", words: texts.next, run: () => this.go("next") },
      { key: "n", shown: "N", words: texts.keyName, run: () => this.#ofChosen("name") },
      { key: "i", shown: "I", words: texts.keyStranger, run: () => this.#ofChosen("stranger") },
      { key: "f", shown: "F", words: texts.keyNotAFace, run: () => this.#ofChosen("notAFace") },
      { key: "a", shown: "A", words: texts.addPerson, run: () => this.addPerson() },
      { key: "b", shown: "B", words: texts.boxes, run: () => this.showBoxes(!areBoxesShown) },
      { key: "+", words: texts.zoomIn, run: zoom(1) },
      { key: "=", words: "", run: zoom(1) },
      { key: "-", words: texts.zoomOut, run: zoom(-1) },
      { key: "0", words: texts.zoomWhole, run: zoom(0) },
      { key: "Escape", shown: "Esc", words: texts.close, run: () => this.#chosen && this.leave() },
    ];
  }
}

// Remembers which face, or which button about the chosen one, has the focus; gives what puts it there again.
function focusToKeep(main) {
  const focused = document.activeElement;
  const place = [".boxes", ".in-photo", ".chosen"].find((each) => main.contains(focused) && focused.closest(each));
  const { key } = focused?.dataset ?? {};
  const words = focused?.textContent;
  return () => {
    if (!place || document.contains(focused)) return;
    const inPlace = [...main.querySelectorAll(`${place} button, ${place} a, ${place} h2`)];
    const same = inPlace.find((each) => (key ? each.dataset.key === key : each.textContent === words));
    (same ?? inPlace[0] ?? main.querySelector("h1")).focus({ preventScroll: true });
  };
}

function itemsOf(photo, chosen) {
  const marks = photo.marks.map((mark) => ({ ...mark, isMark: true }));
  return inReadingOrder([...photo.faces, ...marks]).map((face, i, all) => {
    const key = face.isMark ? `mark-${face.mark}` : String(face.face_id);
    const kind = face.isMark ? "mark" : isNamed(face) ? "named" : face.person ? "group" : "alone";
    const words = texts.boxWords(calledBy(face), i + 1, all.length);
    return { key, face, box: face.box, name: calledBy(face), words, kind, isChosen: key === chosen };
  });
}

let view = null;
let unwatch = null;
let turn = 0; // of the page that was left last: what comes after that draws nothing

/** Shows a photo. */
export async function mount(main, { id, query }) {
  view = null;
  const mine = turn;
  const version = now()?.version;
  const photo = await fetched(id, Number(query.get("person")) || null).catch((error) => {
    makeOld();
    throw error;
  });
  if (mine !== turn) return;
  view = new Photo(main, photo, query);
  const face = query.get("face") && view.items.find((item) => item.key === query.get("face"));
  if (face) view.point(face);
  const isOther = (state, before) => before && state.version !== before.version;
  unwatch = watch((state, before) => isOther(state, before) && view?.refresh().catch(() => {}));
  if (version !== undefined && version !== now()?.version) view.refresh().catch(() => {}); // changed while it was fetched
}

/** Leaves it. */
export function unmount() {
  turn += 1;
  unwatch?.();
  if (view) view.isLeft = true;
}

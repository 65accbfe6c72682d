// The page of a person: their faces, the least sure last, or their photos.

import { get, photoImage } from "../frame/api.js";
import { fill, h } from "../frame/dom.js";
import { useKeys } from "../frame/keys.js";
import { failure } from "../frame/notices.js";
import { onPending, pending, reading } from "../frame/queue.js";
import { goBack, keepPlace, keepPlaceSoon, navigate } from "../frame/router.js";
import { watch } from "../frame/state.js";
import { Grid } from "../grid/grid.js";
import { stepInto } from "../grid/grid_keys.js";
import { forgetFailed } from "../grid/images.js";
import { List } from "../grid/list.js";
import { date, frame, people, person as words } from "../texts.js";
import { askName } from "./naming_dialog.js";
import { PersonActs } from "./person_acts.js";
import { PersonHead } from "./person_head.js";

const LEAST_PX = 104;
const PHOTO_PX = 176;

let page = null;

/** Shows the person of the address. */
export async function mount(main, address) {
  const mine = new Person(main, address);
  page = mine;
  await mine.begin(address);
}

/** Ends it. */
export function unmount() {
  page?.end();
  page = null;
}

class Person {
  constructor(main, { id, query }) {
    this.main = main;
    this.person = { id, name: null, faces: 0, photos: 0, unsure: 0, cover: null };
    this.view = query.get("show") === "photos" ? "photos" : "faces";
    this.faces = listOf(id, "faces");
    this.photos = listOf(id, "photos");
    this.acts = new PersonActs(this);
    this.does = this.makeDoes();
    this.head = new PersonHead(this.does);
    this.place = h("div", { class: "split" });
    this.loading = true;
    this.isSelecting = false;
    main.className = "fixed";
    fill(main, this.head.element, this.place);
    fill(this.head.heading, frame.loading);
    useKeys(this.keys());
  }

  async begin({ place, query }) {
    const knewAll = reading();
    const [person] = await Promise.all([get(`/api/people/${this.person.id}`), this.list.range(0, 0)]);
    if (page !== this) return;
    if (person.id !== this.person.id) return navigate(`/people/${person.id}`, { replace: true });
    this.ends = [watch((...states) => this.changedElsewhere(...states)), onPending((left) => left || this.later())];
    if (!knewAll()) this.later();
    this.loading = false;
    this.show(person);
    this.makeGrid();
    await this.restore(place, Number(query.get("face")) || null);
    if (page === this && document.activeElement === document.body) this.head.heading.focus({ preventScroll: true });
  }

  end() {
    clearTimeout(this.timer);
    this.ends?.forEach((end) => end());
    this.grid?.close();
  }

  get list() {
    return this.view === "faces" ? this.faces : this.photos;
  }

  makeGrid() {
    const isFaces = this.view === "faces";
    const section = { name: this.view, list: this.list, look: isFaces ? lookOfFace : lookOfPhoto, caption: isFaces ? 0 : 24 };
    const does = {
      active: (spot, item) => this.looked(spot, item),
      selected: () => this.selected(),
      enter: (item) => this.open(item),
      open: (item) => this.open(item),
      click: (item, _, event) => this.clicked(item, event),
    };
    const label = isFaces ? words.faces : words.photos;
    this.grid = new Grid({ label, kind: isFaces ? "faces-grid" : "people-grid", sections: [section], least: isFaces ? LEAST_PX : PHOTO_PX, does });
    this.grid.isSelecting = this.isSelecting;
    fill(this.place, this.grid.element);
    this.grid.relay();
  }

  /** Draws who it is; not where another page is shown by now, as where a write is refused late. */
  show(person) {
    if (page !== this) return;
    this.person = person;
    this.head.draw(person, this.view);
    document.title = frame.title(person.name ?? words.unnamed, document.body.dataset.gallery);
  }

  // The place

  async restore(place, face) {
    if (place?.at !== undefined && this.list.total > place.at.index) return this.goTo(place.at.index, place.id);
    if (!face || this.view !== "faces") return;
    await this.faces.range(0, Math.min(this.faces.total, 2_000) - 1);
    const index = this.faces.indexOf(face);
    if (index >= 0) this.goTo(index, face);
  }

  goTo(index, id = null) {
    if (page !== this) return;
    this.grid.go({ section: 0, index });
    if (id !== null) this.grid.activeId = id;
    const { activeElement } = document; // who types elsewhere by now goes on there
    if (activeElement === document.body || this.main.contains(activeElement)) this.grid.element.focus({ preventScroll: true });
  }

  looked(spot, item) {
    if (!item || page !== this) return;
    const id = this.list.key(item);
    keepPlaceSoon({ at: spot, id }, { face: this.view === "faces" ? id : null });
  }

  // What others do

  changedElsewhere(state, before, isBack) {
    if (isBack || (before && state.version !== before.version)) this.later();
  }

  later() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => pending() === 0 && this.refresh(), 250);
  }

  async refresh() {
    forgetFailed();
    this.list.refresh();
    const knewAll = reading();
    try {
      const person = await get(`/api/people/${this.person.id}`);
      if (page !== this || !knewAll()) return;
      if (person.id !== this.person.id) navigate(`/people/${person.id}`, { replace: true });
      else this.show(person);
    } catch (error) {
      if (page === this && error.status === 404) navigate("/people", { replace: true });
    }
  }

  // What the user does

  clicked(item, event) {
    if (this.view === "photos" || event.pointerType === "touch") return this.open(item);
    this.grid.selection.toggle(this.grid.section(), item, this.grid.spot);
  }

  open(item = this.grid.item()) {
    if (!item) return;
    const face = item.face_id === undefined ? "" : `&face=${item.face_id}`;
    navigate(`/photos/${item.photo_id}?person=${this.person.id}${face}`);
  }

  selected() {
    const { selection } = this.grid;
    if (!selection.size) this.grid.isSelecting = this.isSelecting;
    this.head.select(selection.size, this.person);
  }

  get chosen() {
    if (this.view !== "faces" || !this.grid) return [];
    const { items } = this.grid.selection;
    const active = this.grid.item();
    return items.length ? items : active ? [active] : [];
  }

  /** Does something with the faces that are selected, or the active one. */
  with(act) {
    const faces = this.chosen;
    if (!faces.length) return failure({ message: words.chooseFaces }, { slot: "hint" });
    this.grid.selection.clear();
    act(faces);
    this.grid.element.focus({ preventScroll: true });
  }

  async move() {
    const faces = this.chosen;
    if (!faces.length) return failure({ message: words.chooseFaces }, { slot: "hint" });
    const taken = await askName({ title: words.moveTo, about: { face: faces[0].face_id }, except: this.person.id });
    if (taken) this.with(() => this.acts.move(faces, taken));
  }

  async name() {
    const title = this.person.name ? words.renameTitle : words.nameTitle;
    const taken = await askName({ title, about: { person: this.person.id }, except: this.person.id, value: this.person.name ?? "" });
    if (taken) this.acts.name(taken);
  }

  async join() {
    const taken = await askName({ title: words.joinTitle, about: { person: this.person.id }, except: this.person.id, pickOnly: true });
    if (taken) this.acts.join(taken);
  }

  turn(view) {
    if (view === this.view) return;
    this.grid.close();
    this.view = view;
    keepPlace({ at: undefined, id: undefined }, { show: view === "photos" ? "photos" : null, face: null });
    this.head.select(0, this.person);
    this.head.draw(this.person, view);
    if (view === "photos") this.photos = listOf(this.person.id, "photos");
    else this.faces = listOf(this.person.id, "faces");
    this.makeGrid();
    this.list.want(0, 0);
  }

  unsure() {
    this.turn("faces");
    this.goTo(Math.max(0, this.faces.total - this.person.unsure));
  }

  select(event) {
    this.isSelecting = !this.isSelecting;
    if (this.grid) this.grid.isSelecting = this.isSelecting;
    event.currentTarget.setAttribute("aria-pressed", String(this.isSelecting));
  }

  makeDoes() {
    return {
      faces: () => this.turn("faces"),
      photos: () => this.turn("photos"),
      unsure: () => this.unsure(),
      name: () => this.name(),
      join: () => this.join(),
      ignore: () => this.acts.ignore(),
      hide: () => this.acts.hide(),
      select: (event) => this.select(event),
      part: () => this.with((faces) => this.acts.part(faces)),
      move: () => this.move(),
      notFace: () => this.with((faces) => this.acts.notFaces(faces)),
      cover: () => this.with(([face]) => this.acts.cover(face)),
      photo: () => this.open(this.grid.selection.items[0]),
      clear: () => (this.grid.selection.clear(), this.grid.element.focus({ preventScroll: true })),
    };
  }

  keys() {
    const { name, join, ignore, hide, part, move, notFace, cover } = this.does;
    const step = (key) => ({ key, words: "", run: () => this.grid && stepInto(this.grid, key) });
    const letter = (key, run) => ({ key, shown: key.toUpperCase(), words: words.keys[key], run });
    return [
      { key: "arrows", shown: people.arrowKeys, words: words.keys.arrows, run: () => {} },
      { key: " ", shown: people.spaceKey, words: words.keys.space, run: () => {} },
      { key: "Enter", words: words.keys.enter, run: () => this.open() },
      ...[["o", () => this.open()], ["p", part], ["m", move], ["f", notFace], ["c", cover]].map((each) => letter(...each)),
      ...[["n", name], ["j", join], ["i", ignore], ["h", hide]].map((each) => letter(...each)),
      { key: "Escape", shown: people.escapeKey, words: words.keys.escape, run: () => (this.grid?.selection.size ? this.grid.selection.clear() : goBack("/people")) },
      ...["ArrowDown", "ArrowUp", "ArrowLeft", "ArrowRight", "Home", "End", "PageDown", "PageUp"].map(step),
    ];
  }
}

function listOf(id, kind) {
  const load = async (first, n, signal) => {
    const answer = await get(`/api/people/${id}/${kind}`, { first, n }, { signal });
    return { total: answer.total, items: answer[kind] };
  };
  const failed = (error) => !["lost", "not_there", "unknown_person"].includes(error.kind) && failure(error, { slot: "list" });
  return new List(load, { key: kind === "faces" ? (face) => face.face_id : (photo) => photo.photo_id, failed });
}

function lookOfFace(face) {
  const label = [people.face, date(face.taken), face.unsure && words.isUnsure].filter(Boolean).join(", ");
  return { label, face: face.face_id, marks: face.unsure ? "is-unsure" : "is-sure" };
}

function lookOfPhoto(photo) {
  const name = photo.photo.split(/[\\/]/).at(-1);
  const taken = date(photo.taken);
  return { label: [name, taken].filter(Boolean).join(", "), title: taken || name, image: photoImage(photo.photo_id, 320), marks: "photo" };
}

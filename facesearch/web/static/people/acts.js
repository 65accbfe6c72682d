// What is said on the page of people: each act moves the view first and then goes through the queue.

import { decideJoin, decideName } from "../frame/deciding.js";
import { send } from "../frame/queue.js";
import { acts, apart, count } from "../texts.js";
import { learn } from "./names.js";

/** What a person or a group is called in a sentence. */
export function called(person) {
  return person.name ? apart(person.name) : acts.group(count(person.faces, "face"));
}

/** The acts on some lists: {named, groups, alone, strangers, hidden}, each a List. `reverted` is called with the first
 * item of an act that was taken back. */
export class Acts {
  constructor(lists, reverted = () => {}) {
    this.lists = lists;
    this.reverted = reverted;
  }

  /**
   * Gives a group, a person or a face (of the list `alone`) a name.
   * @param {object} item
   * @param {string} from the list that it is in
   * @param {import("./naming.js").Taken} taken
   */
  name(item, from, taken) {
    const { path, body } = wordsOf(item, from, taken);
    const apply = () => this.moveToNamed(item, from, taken);
    const decide = path.endsWith("/name") ? decideName(body) : decideJoin(body);
    const words = taken.same && from !== "named" ? acts.added(apart(taken.name)) : acts.named(apart(taken.name));
    return this.send({ path, body, words, decide }, apply);
  }

  /** Makes people one. @param {object[]} people the one whose name or faces stand is found by the server */
  join(people) {
    const body = { people: people.map((each) => each.id) };
    const kept = keptOf(people);
    const faces = people.reduce((sum, each) => sum + each.faces, 0);
    const gone = people.filter((each) => each !== kept);
    const apply = () => both(this.takeOut(gone), this.show({ ...kept, faces, photos: null }));
    return this.send({ path: "/api/people/join", body, words: acts.joined(people.length), decide: decideJoin(body) }, apply);
  }

  /** Makes people one, and gives them a name. */
  nameAll(people, taken) {
    if (people.length > 1) this.join(people);
    const kept = keptOf(people);
    const list = kept.name ? "named" : "groups";
    return this.name(this.lists[list].items.find((each) => each?.id === kept.id) ?? kept, list, taken);
  }

  /** Gives faces to somebody, or to a new person of that name. */
  move(faces, { id, name, other }) {
    const body = { faces: faces.map((each) => each.face_id), to: id ?? name, ...(other && { other }) };
    const words = acts.moved(count(faces.length, "face"), apart(name));
    return this.send({ path: "/api/people/move", body, words }, () => this.takeOut(faces));
  }

  /** Makes strangers of people, or of whose faces these are. */
  ignore(items, from) {
    const body = from === "alone" ? { faces: items.map((each) => each.face_id) } : { people: items.map((each) => each.id) };
    const words = items.length === 1 && from !== "alone" ? acts.ignored(called(items[0])) : acts.ignoredSome(items.length);
    return this.send({ path: "/api/people/ignore", body, words }, () => this.takeOut(items));
  }

  /** Makes strangers of all groups that have fewer faces. */
  ignoreBelow(n) {
    const write = { path: "/api/people/ignore", body: { unnamed_below: n }, words: acts.ignoredBelow(n) };
    return this.send(write, () => this.takeOut(this.lists.groups.items.filter((group) => group && group.faces < n)));
  }

  /** Leaves people out of the lists, or shows them again. */
  hide(people, hidden) {
    const body = { people: people.map((each) => each.id), hidden };
    const words = people.length === 1 ? acts.hidden(called(people[0]), hidden) : acts.hiddenSome(people.length, hidden);
    return this.send({ path: "/api/people/hide", body, words }, () => this.takeOut(people));
  }

  notFaces(faces) {
    const body = { faces: faces.map((each) => each.face_id) };
    return this.send({ path: "/api/faces/not-a-face", body, words: acts.notFaces(faces.length) }, () => this.takeOut(faces));
  }

  send(write, apply) {
    let revert = apply();
    return send({ ...write, revert: () => revert(), again: () => (revert = apply()) });
  }

  takeOut(items) {
    const ids = new Set(items.map(idOf));
    const backs = Object.values(this.lists).map((list) => {
      const indexes = [];
      list.items.forEach((item, i) => item && ids.has(idOf(item)) && indexes.push(i));
      return indexes.length ? list.remove(indexes) : () => {};
    });
    return () => {
      backs.toReversed().forEach((back) => back());
      if (items.length) this.reverted(items[0]);
    };
  }

  show(person) {
    for (const list of [this.lists.named, this.lists.groups]) {
      const index = list.indexOf(person.id);
      if (index < 0) continue;
      const before = list.at(index);
      list.replace(index, person);
      return () => list.indexOf(person.id) >= 0 && list.replace(list.indexOf(person.id), before);
    }
    return () => {};
  }

  moveToNamed(item, from, taken) {
    if (from === "named" && !taken.same) return both(this.show({ ...item, name: taken.name }), learnt(item, taken));
    const back = this.takeOut([item]);
    const faces = item.faces ?? 1;
    if (taken.same) return both(back, this.grow(taken.id, faces));
    if (from === "alone") return back; // its person has no id yet: the next reading of the list shows it
    return both(back, both(this.intoNamed({ ...item, name: taken.name }), learnt(item, taken)));
  }

  grow(id, faces) {
    const index = this.lists.named.indexOf(id);
    const person = this.lists.named.at(index);
    return person ? this.show({ ...person, faces: person.faces + faces }) : () => {};
  }

  intoNamed(person) {
    const { named } = this.lists;
    const after = named.items.findIndex((each) => each === undefined || each.faces < person.faces);
    named.insert(after < 0 ? named.total : after, person);
    return () => {
      const index = named.indexOf(person.id);
      if (index >= 0) named.remove([index]);
    };
  }
}

/** Whose number stays where people become one. */
function keptOf(people) {
  return people.find((each) => each.name) ?? people.reduce((a, b) => (b.faces > a.faces ? b : a));
}

function idOf(item) {
  return item.face_id === undefined ? `person ${item.id}` : `face ${item.face_id}`;
}

function learnt(item, { name }) {
  return learn({ id: item.id, name, faces: item.faces, cover: item.cover });
}

function both(first, second) {
  return () => (second(), first());
}

/** Where a name goes to, and in what words. One person is meant by id where several have the name. */
function wordsOf(item, from, { name, id, same, other, shared }) {
  const kind = { ...(same && { same }), ...(other && { other }) };
  if (from === "alone") {
    if (same && shared) return { path: "/api/people/move", body: { faces: [item.face_id], to: id } };
    return { path: `/api/faces/${item.face_id}/name`, body: { name, ...kind } };
  }
  if (same && (shared || item.name)) return { path: "/api/people/join", body: { people: [id, item.id], into: id } };
  return { path: `/api/people/${item.id}/name`, body: { name, ...kind } };
}

// What is said on the page of a person: about their faces, and about them.

import { decideJoin, decideName } from "../frame/deciding.js";
import { send } from "../frame/queue.js";
import { acts, apart, count } from "../texts.js";

/**
 * The acts on a person. `page` has the person as {id, name, faces, ...}, what shows one, and the list of faces.
 */
export class PersonActs {
  /** @param {{person: object, faces: import("../grid/list.js").List, show: (person: object) => void}} page */
  constructor(page) {
    this.page = page;
  }

  get id() {
    return this.page.person.id;
  }

  get who() {
    const { name } = this.page.person;
    return name ? apart(name) : acts.thisGroup;
  }

  name(taken) {
    const { person } = this.page;
    const { name, id, same, other, shared } = taken;
    if (same && id !== null && (shared || person.name)) return this.join(taken);
    const body = { name, ...(same && { same }), ...(other && { other }) };
    const apply = () => this.shown({ ...person, name });
    return this.send({ path: `/api/people/${this.id}/name`, body, words: acts.named(apart(name)), decide: decideName(body) }, apply);
  }

  join({ id, name }) {
    const body = { people: [this.id, id] };
    const words = acts.joinedWith(this.who, apart(name));
    return this.send({ path: "/api/people/join", body, words, decide: decideJoin(body) }, () => () => {});
  }

  part(faces) {
    const body = { faces: idsOf(faces) };
    const words = acts.parted(count(faces.length, "face"), this.who);
    return this.send({ path: `/api/people/${this.id}/part`, body, words }, () => this.takeOut(faces));
  }

  move(faces, { id, name, other }) {
    const body = { faces: idsOf(faces), to: id ?? name, ...(other && { other }) };
    const words = acts.moved(count(faces.length, "face"), apart(name));
    return this.send({ path: "/api/people/move", body, words }, () => this.takeOut(faces));
  }

  notFaces(faces) {
    const write = { path: "/api/faces/not-a-face", body: { faces: idsOf(faces) }, words: acts.notFaces(faces.length) };
    return this.send(write, () => this.takeOut(faces));
  }

  cover(face) {
    const { person } = this.page;
    const write = { path: `/api/people/${this.id}/cover`, body: { face: face.face_id }, words: acts.covered(this.who) };
    return this.send(write, () => this.shown({ ...person, cover: face.face_id }));
  }

  ignore() {
    const { person } = this.page;
    const write = { path: "/api/people/ignore", body: { people: [this.id] }, words: acts.ignored(this.who) };
    return this.send(write, () => this.shown({ ...person, kind: "stranger" }));
  }

  hide() {
    const { person } = this.page;
    const hidden = !person.hidden;
    const write = { path: "/api/people/hide", body: { people: [this.id], hidden }, words: acts.hidden(this.who, hidden) };
    return this.send(write, () => this.shown({ ...person, hidden }));
  }

  send(write, apply) {
    let revert = apply();
    return send({ ...write, revert: () => revert(), again: () => (revert = apply()) });
  }

  shown(person) {
    const before = this.page.person;
    this.page.show(person);
    return () => this.page.show(before);
  }

  takeOut(faces) {
    const { faces: list, person } = this.page;
    const indexes = faces.map((face) => list.indexOf(face.face_id)).filter((index) => index >= 0);
    const back = list.remove(indexes);
    const shown = this.shown({ ...person, faces: person.faces - faces.length });
    return () => (shown(), back());
  }
}

function idsOf(faces) {
  return faces.map((face) => face.face_id);
}

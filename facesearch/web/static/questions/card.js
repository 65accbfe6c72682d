// One question drawn: two sides, each with the face that it is about, and others of the same person.

import { get } from "../frame/api.js";
import { h, isolated } from "../frame/dom.js";
import { facePicture } from "../frame/pictures.js";
import { fileOf } from "../photo/facts.js";
import { questionTexts as texts } from "../texts.js";

const OTHERS = 6; // faces beside the one that is asked about
const LOOKED_THROUGH = 60; // faces of a person of which those are chosen: the surest
const LEAD = 288; // pixels, as it is shown
const OTHER = 104;

/** What is asked, as a sentence. */
export function asked({ kind, person_a: a, person_b: b }) {
  if (kind === "stray") return b.name ? texts.isThis(b.name) : texts.isOfGroup;
  if (a?.name && b?.name) return texts.areBoth(a.name, b.name);
  const known = a?.name ?? b?.name;
  return known ? texts.isIt(known) : texts.same;
}

/** The same question, whoever asks. */
export function keyOf({ kind, a, b }) {
  return `${kind} ${a.face_id} ${b.face_id}`;
}

/** Which of these questions asks what another asks: the same, or about the same two people by other faces. */
export async function sameAmong(questions, one) {
  const same = questions.find((each) => keyOf(each) === keyOf(one));
  if (same || one.kind !== "same") return same;
  const ids = [one.a.face_id, one.b.face_id];
  const faces = await Promise.all(ids.map((id) => get(`/api/faces/${id}`).catch(() => null)));
  if (faces.includes(null)) return undefined;
  const who = whoOf(...faces);
  return questions.find(({ kind, a, b }) => kind === "same" && whoOf(a, b) === who);
}

function whoOf(...faces) {
  return faces.map((face) => (face.person ? `person ${face.person}` : `face ${face.face_id}`)).sort().join(" ");
}

/**
 * Both sides of a question as an element. It fetches its pictures at once, so that one that is made early is there
 * when it is shown.
 */
export function questionCard(question, faces) {
  const left = sideOf(question.a, question.kind === "stray" ? null : question.person_a, texts.left, faces);
  const right = sideOf(question.b, question.person_b, texts.right, faces);
  return h("div", { class: "question-sides" }, left, right);
}

function sideOf(face, person, side, faces) {
  const others = h("ul", { class: "question-others", "aria-label": texts.others, hidden: true });
  if (person && person.faces > 1) {
    others.hidden = false;
    others.classList.add("waits");
    faces.others(person.id, face.face_id).then((found) => {
      others.classList.remove("waits");
      others.replaceChildren(...found.map((each) => h("li", {}, pictureOf(each, OTHER))));
    });
  }
  return h(
    "section",
    { class: "question-side", "aria-label": side },
    h("h2", {}, person?.name ? isolated(person.name) : person ? texts.group : texts.alone),
    h("p", { class: "question-facts" }, person ? texts.facts(person) : texts.taken(face.taken)),
    h("div", { class: "question-faces" }, h("div", { class: "question-lead" }, pictureOf(face, LEAD)), others),
  );
}

function pictureOf(face, size) {
  const picture = facePicture(face.face_id, { size, alt: texts.faceAlt(fileOf(face.photo), face.taken) });
  return face.photo_id ? h("a", { href: `/photos/${face.photo_id}?face=${face.face_id}` }, picture) : picture;
}

/** The faces of people who are asked about, fetched once. */
export class Faces {
  #ofPeople = new Map();

  /** At most six other faces of a person, of different photos where that goes, from the surest to the least sure. */
  async others(person, face) {
    if (!this.#ofPeople.has(person)) {
      const reply = get(`/api/people/${person}/faces`, { first: 0, n: LOOKED_THROUGH });
      this.#ofPeople.set(person, reply.then(({ faces }) => faces, () => []));
    }
    const found = await this.#ofPeople.get(person);
    return spread(found.filter((each) => each.face_id !== face), OTHERS);
  }

  /** Forgets them: these people may have others now. */
  forget() {
    this.#ofPeople.clear();
  }
}

function spread(faces, most) {
  const ofPhotos = [...new Map(faces.toReversed().map((face) => [face.photo, face])).values()].toReversed();
  const chosen = ofPhotos.length >= most ? ofPhotos : faces;
  if (chosen.length <= most) return chosen;
  return Array.from({ length: most }, (_, i) => chosen[Math.round((i * (chosen.length - 1)) / (most - 1))]);
}

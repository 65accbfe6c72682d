// What is said about the faces of a photo, each as a write for the queue: what is sent, and how the photo looks then.

import { decideAnswer, decideJoin, decideName } from "../frame/deciding.js";
import { shown } from "../frame/dialogs.js";
import { button, h } from "../frame/dom.js";
import { NameBox } from "../people/naming.js";
import { frame, photoTexts as texts } from "../texts.js";
import { isNamed } from "./panel.js";

/** @typedef {import("../frame/queue.js").Write & {moves?: (photo: object) => object}} PhotoWrite */

/** Asks who a face is, and gives the write; null where nobody was named. */
export async function naming(face) {
  const isOthers = isNamed(face);
  const title = isOthers ? texts.whoElse(face.label) : texts.whoIs;
  const about = isOthers || !face.person ? { face: face.face_id } : { person: face.person };
  const taken = await askName(title, about, face.person);
  if (!taken) return null;
  const sent = isOthers ? moving(face, taken) : named(face, taken);
  const isMeant = isOthers || !face.person ? (each) => each.face_id === face.face_id : (each) => each.person === face.person;
  const moves = changing(isMeant, { label: taken.name, person: taken.id ?? face.person });
  return { ...sent, words: texts.did.named(taken.name), moves };
}

/** Asks who is in a box that the user has drawn, and gives the write. `known` is the face that lies there, or null. */
export async function adding(photo, box, known) {
  const taken = await askName(known ? texts.whoIs : texts.whoIsAdded, known ? { face: known.face_id } : {}, null);
  if (!taken) return null;
  const { name, same, other } = taken;
  const mark = { mark: -1, box, person: taken.id, label: name };
  const moves = known
    ? changing((each) => each.face_id === known.face_id, { label: name, person: taken.id })
    : (before) => ({ ...before, marks: [...before.marks, mark] });
  const body = { box: box.map((edge) => Math.round(edge * 10) / 10), name, same, other };
  return { path: `/api/photos/${photo.photo_id}/people`, body, words: texts.did.added(name), moves, decide: decideName(body) };
}

/** Says that two faces of the gallery are of one person, whoever they are said to be; null where they are so already. */
export function joining(face, other) {
  if (face.person && face.person === other.person_id) return null;
  const body = { kind: "same", a: face.face_id, b: other.face_id, reply: "yes" };
  return { path: "/api/questions/answer", body, words: texts.did.joined, decide: decideAnswer(body) };
}

/** Says that a face is not of whose it is said to be. */
export function part(face) {
  const path = `/api/people/${face.person}/part`;
  const moves = changing((each) => each.face_id === face.face_id, { label: null, person: null });
  return { path, body: { faces: [face.face_id] }, words: texts.did.parted(face.label), moves };
}

/** Says that somebody is a stranger, never to be asked about. */
export function stranger(face) {
  const body = face.person ? { people: [face.person] } : { faces: [face.face_id] };
  return { path: "/api/people/ignore", body, words: texts.did.stranger };
}

/** Has a face stand for its person. */
export function cover(face) {
  return { path: `/api/people/${face.person}/cover`, body: { face: face.face_id }, words: texts.did.cover(face.label) };
}

/** Says that something is no face. */
export function notAFace(face) {
  const moves = (photo) => ({ ...photo, faces: photo.faces.filter((each) => each.face_id !== face.face_id) });
  return { path: "/api/faces/not-a-face", body: { faces: [face.face_id] }, words: texts.did.notAFace, moves };
}

/** Says that one person may be in the photo more than once. */
export function collage(photo) {
  return { path: `/api/photos/${photo}/collage`, words: texts.did.collage, moves: (before) => ({ ...before, repeats: true }) };
}

/** Asks for a name in a dialog; `except` is a person who is not offered. */
function askName(title, about, except) {
  return shown(title, (close) => {
    const box = new NameBox({ label: title, take: close, leave: () => close(null) });
    box.begin(about, { except });
    queueMicrotask(() => box.focus());
    const enter = button(texts.takeName, () => box.enter(), { kind: "main", key: "Enter" });
    const leave = button(frame.cancel, () => close(null), { kind: "quiet" });
    return [box.element, h("div", { class: "dialog-choices" }, leave, enter)];
  }, "asks-name");
}

function moving(face, taken) {
  const body = { faces: [face.face_id], to: taken.id ?? taken.name, ...(taken.other && { other: true }) };
  return { path: "/api/people/move", body };
}

function named(face, taken) {
  if (taken.id && !face.person) return moving(face, taken);
  if (taken.id) {
    const joined = { people: [face.person, taken.id], into: taken.id };
    return { path: "/api/people/join", body: joined, decide: decideJoin(joined) };
  }
  const path = face.person ? `/api/people/${face.person}/name` : `/api/faces/${face.face_id}/name`;
  const body = { name: taken.name, same: taken.same, other: taken.other };
  return { path, body, decide: decideName(body) };
}

function changing(isMeant, change) {
  return (photo) => ({ ...photo, faces: photo.faces.map((each) => (isMeant(each) ? { ...each, ...change } : each)) });
}

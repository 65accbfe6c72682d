// The lists of the page of people, and how their tiles look.

import { get } from "../frame/api.js";
import { failure } from "../frame/notices.js";
import { List } from "../grid/list.js";
import { count, date, people } from "../texts.js";

/** The lists, as they stand below one another. */
export const LISTS = ["named", "groups", "alone", "strangers", "hidden"];

const CAPTION_PX = { named: 62, groups: 26, alone: 26, strangers: 62, hidden: 62 }; // a name may take two lines
const folded = { alone: true, strangers: true, hidden: true }; // as the user left them

/** Remembers whether a list is folded. */
export function keepFolded({ name, folded: isFolded }) {
  folded[name] = isFolded;
}

/** The sections of the grid. @param {Record<string, List>} lists */
export function sectionsOf(lists) {
  return LISTS.map((name) => ({
    name,
    list: lists[name],
    look: name === "alone" ? lookOfFace : lookOfPerson,
    title: people.titles[name],
    caption: CAPTION_PX[name],
    foldable: name in folded,
    folded: folded[name] ?? false,
    isTitled: () => name !== "groups" || lists.named.total > 0,
  }));
}

/** One of the lists. */
export function listOf(name) {
  const isFaces = name === "alone";
  const load = async (first, n, signal) => {
    const path = isFaces ? "/api/faces" : "/api/people";
    const answer = await get(path, { list: name, first, n }, { signal });
    return { total: answer.total, items: isFaces ? answer.faces : answer.people };
  };
  const failed = (error) => error.kind !== "lost" && failure(error, { slot: "list" });
  return new List(load, { key: isFaces ? (face) => face.face_id : (person) => person.id, failed });
}

/** How many people without a name have fewer faces, the hidden ones too; null where not all have arrived. */
export function smallerThan(n, { groups, hidden }) {
  if (![groups, hidden].every((list) => list.isAllThere)) return null;
  const unnamed = [...groups.items, ...hidden.items].filter(({ name, kind }) => !name && kind === "person");
  return unnamed.filter(({ faces }) => faces < n).length;
}

function lookOfPerson(person) {
  const faces = count(person.faces, "face");
  const unsure = person.unsure ? people.unsure(person.unsure) : "";
  const label = [person.name ?? people.unnamed, faces, unsure].filter(Boolean).join(", ");
  return { label, title: person.name ?? faces, note: person.name ? faces : "", face: person.cover, marks: person.name ? "named" : "unnamed" };
}

function lookOfFace(face) {
  const taken = date(face.taken);
  return { label: [people.oneFace, taken].filter(Boolean).join(", "), title: taken, note: "", face: face.face_id, marks: "unnamed" };
}

// What only the user can decide: the answers 409 of the server as questions. Each function gives a `decide` of queue.js.

import { count, deciding } from "../texts.js";
import { get } from "./api.js";
import { ask } from "./dialogs.js";
import { isolated } from "./dom.js";
import { failure } from "./notices.js";

/** For a write that gives a name: somebody has it already. @param {object} body with `name` */
export function decideName(body) {
  return async (error) => {
    if (error.kind !== "name_taken") return told(error);
    const same = { value: { same: true }, words: deciding.same, kind: "main" };
    const other = { value: { other: true }, words: deciding.other };
    const choice = await ask({ title: deciding.taken(body.name), text: error.message, choices: [same, other] });
    return choice && { body: { ...body, ...choice } };
  };
}

/** For a write that makes people one: their names differ, or the user said that they are not the same. */
export function decideJoin(body) {
  return async (error) => {
    if (error.kind === "two_names") return whichName(body, error);
    if (error.kind !== "not_same") return told(error);
    const anyway = { value: { anyway: true }, words: deciding.anyway, kind: "danger" };
    const choice = await ask({ title: deciding.notSame, text: error.message, choices: [anyway] });
    return choice && { body: { ...body, ...choice } };
  };
}

/** For an answer to a question: two people become one, and their names differ. */
export function decideAnswer(body) {
  return async (error) => (error.kind === "two_names" && error.people.length ? whichName(body, error) : told(error));
}

async function whichName(body, error) {
  const ids = error.people.length ? error.people : body.people;
  const people = await Promise.all(ids.map((id) => get(`/api/people/${id}`)));
  const named = people.filter((person) => person.name);
  const choices = named.map((person) => ({ value: person.id, words: nameAndCount(person) }));
  const into = await ask({ title: deciding.whichName, text: deciding.whichNameWhy, choices });
  return into && { body: { ...body, into } };
}

function nameAndCount(person) {
  const words = document.createDocumentFragment();
  words.append(isolated(person.name), ` (${count(person.faces, "face")})`);
  return words;
}

function told(error) {
  failure(error);
  return null;
}

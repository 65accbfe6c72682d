// What the server refused, as one notice: where it refuses much, the newest is named and the others are counted.

import { frame } from "../texts.js";
import { failure } from "./notices.js";

let told = [];

/**
 * Says that something was not done, until the notice is closed.
 * @param {{words: string, reason: string, retry: (() => void)|null}} one what it would have done, why it was refused,
 *   and what does it after all
 */
export function tellNotDone(one) {
  const all = [...told, one];
  const message = frame.notDone(one.words, one.reason, all.length - 1);
  const retries = all.map((each) => each.retry).filter(Boolean);
  const retry = retries.length > 0 && (() => retries.forEach((again) => again()));
  failure({ message }, { slot: "not done", retry, closed: () => (told = []) }); // closes the notice before it
  told = all;
}

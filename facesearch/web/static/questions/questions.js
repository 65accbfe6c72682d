// "The same person?": one question after the other, each answered by a key. The next one is drawn before it is asked.

import { get } from "../frame/api.js";
import { decideAnswer } from "../frame/deciding.js";
import { ask } from "../frame/dialogs.js";
import { button, fill, h, isolated } from "../frame/dom.js";
import { showCount } from "../frame/frame.js";
import { useKeys } from "../frame/keys.js";
import { failure, say } from "../frame/notices.js";
import { pending, reading, send, undoLast } from "../frame/queue.js";
import { keepPlace } from "../frame/router.js";
import { watch } from "../frame/state.js";
import { questionTexts as texts } from "../texts.js";
import { asked, Faces, keyOf, questionCard, sameAmong } from "./card.js";

const FETCHED = 60; // questions at once
const FEW = 40; // questions left, from which on more are fetched
const MOST = 200; // that the server gives
const READY = 3; // that are drawn ahead
const DEAF_MS = 400; // after another question took the place of the one that was looked at: a finger is on its way

class Questions {
  #open = []; // those that come, the one that is asked first
  #handled = new Set(); // keys of those that were answered or skipped here
  #skipped = [];
  #cards = new Map(); // by key: drawn ahead, and kept for undo
  #faces = new Faces();
  #answered = 0;
  #total = 0;
  #isKnown = false; // whether the server has said how many there are
  #fetching = null;
  #isOld = false; // what the fetch under way brings
  #deafUntil = 0;
  #shown = null; // the key of the one that is asked

  constructor(main, place) {
    this.#skipped = place?.skipped ?? [];
    this.#handled = new Set(this.#skipped);
    this.title = h("h1", { tabindex: "-1", class: "question-asked", id: "question-asked" }, texts.title);
    this.place = h("div", { class: "question-place", "aria-labelledby": "question-asked" });
    this.progress = h("progress", { class: "question-progress", "aria-label": texts.progressLabel, max: 1, value: 0 });
    this.counted = h("p", { class: "question-count" });
    this.last = h("p", { class: "quiet-text question-last" });
    this.buttons = this.#makeButtons();
    this.answers = h("div", { class: "question-answers", role: "group", "aria-label": texts.answers }, this.#rows());
    const head = h("div", { class: "question-head" }, this.title, h("div", {}, this.counted, this.progress));
    fill(main, h("div", { class: "page questions-page" }, head, this.place, this.answers));
    useKeys(this.#keys());
  }

  #makeButtons() {
    return {
      yes: button(texts.yes, () => this.answer("yes"), { kind: "main", key: "Y" }),
      no: button(texts.no, () => this.answer("no"), { kind: "main", key: "N" }),
      skip: button(texts.skip, () => this.skip(), { key: "S" }),
      undo: button(texts.undo, undoLast, { key: "U" }),
      stranger: button(texts.stranger, () => this.answer("stranger"), { kind: "quiet", key: "I" }),
      noFace: button(texts.noFace, () => this.answer("not_a_face"), { kind: "quiet", key: "F" }),
    };
  }

  #rows() {
    const { yes, no, skip, undo, stranger, noFace } = this.buttons;
    return [h("div", { class: "answers-first" }, yes, no), h("div", { class: "answers-more" }, skip, undo, stranger, noFace), this.last];
  }

  #keys() {
    return [
      { key: "y", words: texts.yes, run: () => this.answer("yes") },
      { key: "n", words: texts.no, run: () => this.answer("no") },
      { key: "s", words: texts.skip, run: () => this.skip() },
      { key: "i", words: texts.stranger, run: () => this.answer("stranger") },
      { key: "f", words: texts.noFace, run: () => this.answer("not_a_face") },
    ];
  }

  /** Fetches the questions that are open now, one fetch at a time; once more where it is called meanwhile. */
  fetch() {
    this.#isOld = true;
    this.#fetching ??= this.#fetchAll().finally(() => {
      this.#fetching = null;
      this.draw();
    });
    return this.#fetching;
  }

  async #fetchAll() {
    while (this.#isOld && !this.isLeft) {
      this.#isOld = false;
      await this.#fetch();
      this.draw();
    }
  }

  // What was handled here is left out: the server may not have known yet, when it answered, what was said last.
  async #fetch() {
    const knewAll = reading();
    const wanted = FETCHED + this.#skipped.length + pending();
    const { total, questions } = await get("/api/questions", { n: Math.min(wanted, MOST) });
    if (knewAll()) this.#handled = new Set(this.#skipped); // and what was taken back is open again
    else if (!pending()) this.#isOld = true;
    const fresh = () => questions.filter((each) => !this.#handled.has(keyOf(each)));
    const [shown] = this.#open;
    const sameNow = shown && (await sameAmong(fresh(), shown));
    const isOver = shown && !sameNow && knewAll();
    if (sameNow) shown.listedAs = keyOf(sameNow);
    if (knewAll()) this.#know(total);
    this.#take(fresh().filter((each) => each !== sameNow), isOver);
  }

  #know(total) {
    this.#total = total;
    this.#isKnown = true;
  }

  // What is asked stays while it can be answered: the user looks at it.
  #take(others, isOver) {
    const [shown] = isOver ? [] : this.#open;
    this.#open = shown ? [shown, ...others.filter((each) => keyOf(each) !== keyOf(shown))] : others;
    if (isOver) this.#deafUntil = performance.now() + DEAF_MS;
  }

  /** Draws the first question, and the next ones out of sight. */
  draw() {
    if (this.isLeft) return;
    const [question] = this.#open;
    this.#count();
    for (const control of Object.values(this.buttons)) control.disabled = !question && control !== this.buttons.undo;
    if (!question) return this.#end();
    const key = keyOf(question);
    if (key !== this.#shown) {
      this.#giveUp(this.#shown);
      this.#shown = key;
      this.answers.hidden = false;
      fill(this.title, asked(question));
      fill(this.place, this.#card(question));
      say(texts.spoken(asked(question), question));
    }
    this.buttons.stranger.disabled = Boolean(question.person_a?.name && question.person_b?.name);
    requestAnimationFrame(() => this.#open.slice(1, 1 + READY).forEach((each) => this.#card(each)));
  }

  #card(question) {
    const key = keyOf(question);
    const card = this.#cards.get(key) ?? questionCard(question, this.#faces);
    this.#cards.delete(key); // and put at the end: the oldest go first
    this.#cards.set(key, card);
    if (this.#cards.size > 4 * READY) this.#cards.delete(this.#cards.keys().next().value);
    return card;
  }

  // Pictures of a question that was left before they came are asked for no longer: those of the next ones are waited for.
  #giveUp(key) {
    const late = [...(this.#cards.get(key)?.querySelectorAll("img") ?? [])].filter((picture) => !picture.complete);
    if (!late.length) return;
    for (const picture of late) picture.removeAttribute("src");
    this.#cards.delete(key);
  }

  #count() {
    const left = Math.max(this.#open.length, this.#total - this.#skipped.length);
    this.progress.max = this.#answered + left || 1;
    this.progress.value = this.#answered;
    fill(this.counted, texts.progress(this.#answered, this.#skipped.length, left));
    if (this.#isKnown) showCount("questions", Math.max(this.#open.length, this.#total));
    this.counted.parentElement?.toggleAttribute("hidden", !this.#answered && !left);
  }

  #end() {
    if (this.#fetching || pending()) return; // more may come
    const end = `end ${this.#answered} ${this.#skipped.length}`;
    if (this.#shown === end) return; // and somebody may be on its link
    this.#shown = end;
    this.answers.hidden = this.#answered === 0;
    fill(this.title, this.#answered || this.#skipped.length ? texts.end : texts.nothing);
    const again = this.#skipped.length > 0 && button(texts.askSkipped(this.#skipped.length), () => this.#askSkipped());
    fill(
      this.place,
      h(
        "div",
        { class: "empty good-end" },
        h("p", {}, texts.endWords(this.#answered, this.#skipped.length)),
        h("div", { class: "row" }, again, h("a", { class: "button main", href: "/people" }, texts.toPeople)),
      ),
    );
    say(texts.end);
  }

  #askSkipped() {
    for (const key of this.#skipped) this.#handled.delete(key);
    this.#skipped = [];
    keepPlace({ skipped: [] });
    this.fetch().catch(failure);
  }

  /** Stores an answer to the question that is asked; the next one is there at once. */
  async answer(reply) {
    const [question] = this.#open;
    if (!question || this.isChoosing || this.#isDeaf()) return;
    const into = reply === "yes" ? await this.#whoseName(question) : undefined;
    if (into === null || this.#open[0] !== question) return;
    const { kind, a, b } = question;
    const move = () => this.#leave(question);
    move();
    const body = { kind, a: a.face_id, b: b.face_id, reply, ...(into === undefined ? {} : { into }) };
    const words = texts.answered(reply, question);
    fill(this.last, texts.before(words));
    send({
      path: "/api/questions/answer", body, words, again: move, isQuiet: true, decide: decideAnswer(body),
      revert: () => this.#back(question), settle: () => this.#settled(),
    });
  }

  #isDeaf() {
    return performance.now() < this.#deafUntil;
  }

  #settled() {
    this.#faces.forget();
    if (!this.#open.length && !pending()) this.fetch().catch(failure);
  }

  #leave(question) {
    this.#handled.add(listedAs(question));
    this.#answered += 1;
    this.#total -= 1;
    this.#open = this.#open.filter((each) => keyOf(each) !== keyOf(question));
    this.draw();
    if (this.#open.length <= FEW) this.fetch().catch(failure);
  }

  #back(question) {
    fill(this.last, texts.askedAgain);
    this.#handled.delete(listedAs(question));
    this.#answered = Math.max(0, this.#answered - 1);
    this.#total += 1;
    this.#open = [question, ...this.#open.filter((each) => keyOf(each) !== keyOf(question))];
    this.draw();
  }

  /** Asks it another time. */
  skip() {
    const [question] = this.#open;
    if (!question || this.isChoosing || this.#isDeaf()) return;
    this.#handled.add(listedAs(question));
    this.#skipped.push(listedAs(question));
    keepPlace({ skipped: this.#skipped });
    this.#open.shift();
    fill(this.last, texts.before(texts.skipped));
    this.draw();
    if (this.#open.length <= FEW) this.fetch().catch(failure);
  }

  // Of two people with different names one name stays: undefined where that is no question, null where none was chosen.
  async #whoseName({ kind, person_a: a, person_b: b }) {
    if (kind !== "same" || !a?.name || !b?.name || a.name === b.name) return undefined;
    this.isChoosing = true;
    const choices = [a, b].map((who) => ({ value: who.id, words: isolated(who.name), kind: "main" }));
    const chosen = await ask({ title: texts.whoseName, text: texts.whoseNameWhy, choices });
    this.isChoosing = false;
    return chosen;
  }
}

// Its key in what the server gave last: two people may be asked about by other faces by now.
function listedAs(question) {
  return question.listedAs ?? keyOf(question);
}

let unwatch = null;
let view = null;

/** Shows the page of questions. */
export async function mount(main, { place }) {
  const shown = new Questions(main, place);
  view = shown;
  unwatch = watch((state, before) => before && state.version !== before.version && shown.fetch().catch(() => {}));
  await shown.fetch();
}

/** Leaves it. */
export function unmount() {
  if (view) view.isLeft = true;
  unwatch?.();
}

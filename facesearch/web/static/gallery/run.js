// Indexing again, with a live bar; a run of another process is shown, and left alone.

import { post } from "../frame/api.js";
import { button, fill, h } from "../frame/dom.js";
import { failure, say } from "../frame/notices.js";
import { poke } from "../frame/state.js";
import { runTexts as texts } from "../texts.js";

const SPOKEN_EVERY_MS = 20_000; // who hears the page is told how far it is, not each step of it

/** The part of the page that starts, shows and stops a run. */
export class RunPanel {
  #run = null;
  #spokenAt = 0;
  #isStopping = false;
  #isAsking = false; // for a run to begin or to end

  constructor() {
    this.words = h("p", {});
    this.bar = h("progress", { class: "run-bar", "aria-label": texts.bar, hidden: true });
    this.lost = h("ul", { class: "run-lost" });
    this.figures = h("p", { class: "quiet-text run-figures" });
    this.start = button(texts.start, () => this.#begin(false), { kind: "main" });
    this.retry = button(texts.retryFailed, () => this.#begin(true));
    this.stop = button(texts.stop, () => this.#stop());
    const buttons = h("div", { class: "row" }, this.start, this.retry, this.stop);
    this.element = h(
      "section", { class: "card run", "aria-labelledby": "run-title" },
      h("h2", { id: "run-title" }, texts.title), this.words, this.lost, this.bar, this.figures, buttons,
    );
    this.retry.hidden = true;
    this.show(null);
  }

  /** Learns from the gallery's facts whether there are photos that may be tried again. */
  knows(facts) {
    this.hasFailed = Object.keys(facts.failing).length > 0;
    this.#arrange();
  }

  /** Shows a run as the server tells of it, or that there is none. */
  show(run) {
    const before = this.#run;
    this.#run = run;
    if (!this.#goes) this.#isStopping = false;
    fill(this.words, this.#isStopping ? texts.stopping : texts.words(run));
    fill(this.lost, ...(run?.ended?.summary?.roots_failed ?? []).map((each) => h("li", {}, texts.rootFailed(each))));
    this.element.classList.toggle("failed", Boolean(run?.ended?.error));
    const goes = this.#goes;
    this.bar.hidden = !goes;
    if (goes && run.total) {
      this.bar.max = run.total;
      this.bar.value = run.done;
    } else this.bar.removeAttribute("value");
    fill(this.figures, goes ? texts.figures(run) : "");
    this.#arrange();
    this.#speak(before);
  }

  /** Is told that the page is left: a run goes on. */
  leave() {
    this.#run = null;
  }

  get #goes() {
    return Boolean(this.#run && !this.#run.ended);
  }

  #arrange() {
    const goes = this.#goes;
    const hadFocus = this.element.contains(document.activeElement); // a button that goes gives it to the one that comes
    this.start.hidden = goes;
    this.retry.hidden = goes || !this.hasFailed;
    this.stop.hidden = !goes || this.#run.source !== "page";
    if (hadFocus && document.activeElement.hidden) (this.stop.hidden ? this.start : this.stop).focus();
  }

  #speak(before) {
    const ended = this.#run?.ended && !before?.ended;
    if (!ended && (!this.#goes || Date.now() - this.#spokenAt < SPOKEN_EVERY_MS)) return;
    if (ended && !before) return; // it ended before this page was opened
    this.#spokenAt = Date.now();
    say(ended ? texts.words(this.#run) : texts.figures(this.#run));
  }

  async #begin(again) {
    if (this.#isAsking) return;
    this.#isAsking = true;
    try {
      this.show(await post("/api/index", again ? { retry_failed: true } : {}));
      poke();
    } catch (error) {
      failure(error);
    }
    this.#isAsking = false;
  }

  async #stop() {
    if (this.#isAsking) return;
    this.#isAsking = this.#isStopping = true;
    fill(this.words, texts.stopping);
    try {
      await post("/api/index/stop");
      poke();
    } catch (error) {
      this.#isStopping = false;
      failure(error);
    }
    this.#isAsking = false;
  }
}

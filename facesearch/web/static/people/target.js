// Whom what is said on the page of people is about. The name box is for who was chosen when it was opened, whatever the
// lists do until a name is given: a name never goes to somebody who came into the place while it was typed.

/** @typedef {{item: object, section: import("../grid/grid.js").Section}} Chosen */

export class Target {
  /** @param {{grid: import("../grid/grid.js").Grid, panel: import("./panel.js").Panel,
   *   acts: import("./acts.js").Acts, back: () => void}} page */
  constructor(page) {
    this.page = page;
    this.held = null; // whom the box is for while it has the focus; empty where they have not arrived
    this.naming = null; // names that wait for whom they are for
    this.box = page.panel.box;
    this.box.element.addEventListener("focusin", () => this.hold());
    this.box.element.addEventListener("focusout", (event) => this.left(event));
  }

  /** Whether somebody types a name. */
  get isBusy() {
    return this.box.element.contains(document.activeElement);
  }

  /** Who is selected, or whose tile is active. @returns {Chosen[]} */
  chosen() {
    const { grid } = this.page;
    const { all } = grid.selection;
    const item = grid.item();
    return all.length ? all : item ? [{ item, section: grid.section() }] : [];
  }

  /** Who is shown large: the only one who is selected, or whose tile is active. @returns {Chosen|undefined} */
  get one() {
    const { grid } = this.page;
    if (grid.selection.size === 1) return grid.selection.all[0];
    const item = grid.item();
    return item && { item, section: grid.section() };
  }

  /** Shows who is meant, in place of who is shown; not while a name is typed for somebody. */
  show() {
    const { panel } = this.page;
    if (!this.isBusy) this.held = null;
    if (this.held && (this.held.length || this.naming)) return;
    const { one } = this;
    if (one) panel.show(one.item, one.section.name, { isTyping: this.held !== null });
    else if (this.isBusy) panel.wait();
    else panel.show(undefined, null);
    if (this.isBusy) this.held = this.chosen();
  }

  /** Others are selected: from now on they are meant. */
  again() {
    this.held = null;
    this.show();
  }

  /** Opens the box; who has not arrived is named when they have. */
  open() {
    if (this.naming || !this.chosen().length) this.page.panel.wait();
    this.box.focus();
  }

  hold() {
    if (this.held) return;
    this.held = this.naming ? [] : this.chosen();
    if (!this.held.length) this.page.panel.wait();
  }

  left({ relatedTarget }) {
    if (this.box.element.contains(relatedTarget) || this.isBusy) return; // so it is where the window loses the focus
    this.again();
  }

  /** Names whom the box is for; where they have not arrived, once they have, and the next one after that. */
  name(taken) {
    const chosen = this.held ?? (this.naming ? [] : this.chosen());
    if (chosen.length) return this.give(chosen, taken);
    const mine = Promise.resolve(this.naming)
      .then(() => this.arrived())
      .then((arrived) => void this.give(arrived, taken))
      .finally(() => this.naming === mine && this.named());
    this.naming = mine;
    this.held = null;
    this.page.back();
  }

  named() {
    this.naming = null;
    this.show();
  }

  give(chosen, taken) {
    const { grid, acts } = this.page;
    grid.selection.clear();
    this.held = null;
    if (!hasFinger()) this.page.back(); // a finger's keyboard stays, for the next one
    const [faces, people] = [true, false].map((isFace) => chosen.filter(({ section }) => (section.name === "alone") === isFace));
    if (chosen.length === 1) return acts.name(chosen[0].item, chosen[0].section.name, taken);
    if (people.length) acts.nameAll(people.map(({ item }) => item), taken);
    if (faces.length) acts.move(faces.map(({ item }) => item), taken);
  }

  /** Who is chosen, or whose tile is active and has not arrived yet. */
  async arrived() {
    const chosen = this.chosen();
    const { spot } = this.page.grid;
    const section = this.page.grid.section();
    if (chosen.length || spot.index < 0 || !section) return chosen;
    const [item] = await section.list.range(spot.index, spot.index);
    return item ? [{ item, section }] : [];
  }
}

function hasFinger() {
  return window.matchMedia("(pointer: coarse)").matches;
}

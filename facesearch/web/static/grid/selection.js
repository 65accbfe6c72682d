// Which tiles are selected: by their ids, so that they stay so wherever they stand.

const AT_MOST = 5_000; // of one range

/** The selection of a grid. */
export class Selection {
  /** @param {(selection: Selection) => void} changed */
  constructor(changed) {
    this.changed = changed;
    this.chosen = new Map(); // "section id" -> {section, item}
    this.anchor = null;
  }

  get size() {
    return this.chosen.size;
  }

  /** Those that are selected, as {section, item}. */
  get all() {
    return [...this.chosen.values()];
  }

  /** Their items. */
  get items() {
    return this.all.map(({ item }) => item);
  }

  has(section, item) {
    return this.chosen.size > 0 && this.chosen.has(named(section, item));
  }

  /** Selects a tile, or takes it out; the next range begins there. */
  toggle(section, item, spot) {
    const name = named(section, item);
    if (!this.chosen.delete(name)) this.chosen.set(name, { section, item });
    this.anchor = spot;
    this.changed(this);
  }

  /** Selects all from where the last range began up to a tile of the same section. */
  async rangeTo(section, spot) {
    const from = this.anchor?.section === spot.section ? this.anchor.index : spot.index;
    this.anchor ??= spot;
    const [first, last] = [Math.min(from, spot.index), Math.max(from, spot.index)];
    const items = await section.list.range(first, Math.min(last, first + AT_MOST - 1));
    this.chosen.clear();
    for (const item of items) this.chosen.set(named(section, item), { section, item });
    this.changed(this);
  }

  /** Selects all of a section. */
  async everything(section, index) {
    this.anchor = { section: index, index: 0 };
    await this.rangeTo(section, { section: index, index: section.list.total - 1 });
  }

  clear() {
    this.anchor = null;
    if (!this.size) return;
    this.chosen.clear();
    this.changed(this);
  }
}

function named(section, item) {
  return `${section.name} ${section.list.key(item)}`;
}

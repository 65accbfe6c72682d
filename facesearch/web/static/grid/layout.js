// Where the rows of a grid lie: arithmetic alone. A grid has sections; a section has a head, if it has a title, and rows
// of tiles, if it is not folded. Rows are counted from 0 over all sections, lengths are CSS pixels.

/** @typedef {{n: number, hasHead: boolean, folded: boolean, caption: number}} Size of a section
 * @typedef {{section: number, isHead: boolean, first: number, n: number, top: number, height: number}} Row
 * @typedef {{section: number, index: number}} Spot a tile, or a head, whose index is -1 */

const TOP_PX = 6; // above the first row: room for the ring around a tile
const NODES = 196; // of a grid at most: rows, tiles and their images

/**
 * How many columns a grid has, and how large its tiles are: as small as `least` where the nodes of all rows that are
 * seen stay few enough, larger where the window is large.
 * @returns {{columns: number, side: number, over: number}} `side` with the gap below; `over`: rows to be ready above
 * and below the view
 */
export function measured({ width, height, least, caption, gap }) {
  let columns = Math.max(1, Math.floor((width + gap) / (least + gap)));
  for (; ; columns -= 1) {
    const side = Math.floor((width - gap * (columns - 1)) / columns);
    const rowHeight = side + caption + gap;
    const seen = Math.ceil(height / rowHeight) + 1;
    const affordable = Math.floor(NODES / (1 + 2 * columns));
    if (columns > 1 && seen + 1 > affordable) continue;
    return { columns, side: side + gap, over: Math.max(0, Math.min(3, Math.floor((affordable - seen) / 2))) };
  }
}

/** The rows of some sections. */
export class Layout {
  /** @param {Size[]} sizes */
  constructor(sizes, { columns, side, headHeight }) {
    this.columns = columns;
    this.side = side;
    this.parts = [];
    this.rows = 0;
    this.height = TOP_PX;
    sizes.forEach(({ n, hasHead, folded, caption }, section) => {
      if (hasHead) this.add({ section, isHead: true, n: 1, rows: 1, each: headHeight });
      if (!folded && n) this.add({ section, isHead: false, n, rows: Math.ceil(n / columns), each: side + caption });
    });
  }

  add(part) {
    this.parts.push({ ...part, row: this.rows, top: this.height });
    this.rows += part.rows;
    this.height += part.rows * part.each;
  }

  /** @returns {Row} */
  row(number) {
    const part = this.parts.findLast((each) => each.row <= number);
    const within = number - part.row;
    const first = part.isHead ? -1 : within * this.columns;
    const n = part.isHead ? 1 : Math.min(this.columns, part.n - first);
    return { section: part.section, isHead: part.isHead, first, n, top: part.top + within * part.each, height: part.each };
  }

  /** The number of the row at so many pixels from the top. */
  rowAt(y) {
    const part = this.parts.findLast((each) => each.top <= y) ?? this.parts[0];
    if (!part) return 0;
    return part.row + Math.max(0, Math.min(part.rows - 1, Math.floor((y - part.top) / part.each)));
  }

  /** The number of the row of a spot; -1 where it is folded away. */
  rowOf({ section, index }) {
    const part = this.parts.find((each) => each.section === section && each.isHead === index < 0);
    if (!part || index >= part.n) return -1;
    return part.isHead ? part.row : part.row + Math.floor(index / this.columns);
  }

  /** The spot in a row, in that column or the last one before it. */
  spot(number, column) {
    const { section, isHead, first, n } = this.row(number);
    return { section, index: isHead ? -1 : first + Math.min(column, n - 1) };
  }

  columnOf({ index }) {
    return index < 0 ? 0 : index % this.columns;
  }
}

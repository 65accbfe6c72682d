// A long list that arrives in parts: what is seen first, and what is no longer seen is not waited for.

import { wasAborted } from "../frame/api.js";

const AT_ONCE = 2; // parts on their way
const MOST = 500; // items in one answer
const AHEAD = 60; // items on both sides of what is seen, so that who goes on by keys does not wait

/** @template Item */
export class List {
  /**
   * @param {(first: number, n: number, signal: AbortSignal) => Promise<{total: number, items: Item[]}>} load
   * @param {{key: (item: Item) => number, part?: number, failed?: (error: Error) => void}} options
   */
  constructor(load, { key, part = 100, failed = () => {} }) {
    this.load = load;
    this.key = key;
    this.part = part;
    this.failed = failed;
    this.items = [];
    this.total = 0;
    this.isKnown = false;
    this.fresh = new Set(); // parts that are as the server has them
    this.flights = new Map(); // by part
    this.wanted = [0, -1];
    this.turn = 0;
    this.readings = 0;
    this.tried = new Set(); // parts that the server could not fill, while it is behind
    this.gone = new Set(); // keys of what was taken out ahead of the server
    this.changed = () => {};
  }

  /** The item there, or undefined where it has not arrived. */
  at(index) {
    return this.items[index];
  }

  /** Whether all items have arrived. */
  get isAllThere() {
    return this.isKnown && this.items.filter((item) => item !== undefined).length === this.total;
  }

  /** Where an item is among those that have arrived; -1 where it is not. */
  indexOf(id) {
    return this.items.findIndex((item) => item !== undefined && this.key(item) === id);
  }

  /** Says which items are seen: the parts that hold them are loaded, the nearest to the middle first. */
  want(first, last) {
    this.wanted = [Math.max(0, first - AHEAD), last + AHEAD];
    for (const [part, flight] of this.flights) if (!this.isNear(part)) flight.abort();
    this.fly();
  }

  /** Loads what is seen anew; what is shown stays until then. */
  refresh() {
    this.turn += 1;
    this.readings += 1;
    this.gone.clear();
    this.tried.clear();
    this.fresh.clear();
    for (const flight of this.flights.values()) flight.abort();
    this.flights.clear();
    return this.fly();
  }

  /** Ends it: nothing is waited for, and nobody is told. */
  close() {
    this.changed = () => {};
    this.wanted = [0, -1];
    for (const flight of this.flights.values()) flight.abort();
  }

  /** Everything from one index up to another one, which must have been loaded for it. */
  async range(first, last) {
    for (let part = this.partOf(first); part <= this.partOf(last); part += 1) {
      if (this.isWhole(part)) continue;
      const answer = await this.load(part * this.part, this.length);
      if (this.gone.size) this.fillUp(part, answer);
      else this.take(part, answer);
    }
    this.changed();
    return this.items.slice(first, last + 1).filter((item) => item !== undefined);
  }

  /** Takes items out, ahead of the server. Gives what puts them back. */
  remove(indexes) {
    const taken = [...indexes].sort((a, b) => a - b).map((index) => [index, this.items[index]]);
    for (const [index, item] of taken.toReversed()) {
      this.items.splice(index, 1);
      if (item) this.gone.add(this.key(item));
    }
    this.tried.clear();
    this.total -= taken.length;
    this.moved();
    return () => {
      for (const [index, item] of taken) this.insert(Math.min(index, this.total), item);
    };
  }

  /** Puts an item in, ahead of the server. */
  insert(index, item) {
    this.gone.delete(this.key(item));
    if (index > this.items.length) this.items.length = index;
    this.items.splice(index, 0, item);
    this.total += 1;
    this.moved();
  }

  /** Shows another item in the place of one. */
  replace(index, item) {
    this.items[index] = item;
    this.moved();
  }

  moved() {
    this.turn += 1; // what is on its way was counted before
    this.changed();
  }

  /** How many items are asked for: the server still has those that were taken out ahead of it. */
  get length() {
    return Math.min(MOST, this.part + this.gone.size);
  }

  partOf(index) {
    return Math.floor(Math.max(0, index) / this.part);
  }

  isNear(part) {
    return part >= this.partOf(this.wanted[0]) - 1 && part <= this.partOf(this.wanted[1]) + 1;
  }

  isWhole(part) {
    const last = Math.min((part + 1) * this.part, this.total);
    for (let i = part * this.part; i < last; i += 1) if (this.items[i] === undefined) return false;
    return this.isKnown;
  }

  missing() {
    if (this.wanted[1] < this.wanted[0]) return [];
    const end = this.isKnown ? Math.max(0, this.total - 1) : 0;
    const [first, last] = this.wanted.map((index) => this.partOf(Math.min(index, end)));
    const middle = (first + last) / 2;
    const parts = [];
    for (let part = first; part <= last; part += 1) {
      const isThere = this.tried.has(part) || (this.fresh.has(part) && this.isWhole(part));
      if (!isThere && !this.flights.has(part)) parts.push(part);
    }
    return parts.sort((a, b) => Math.abs(a - middle) - Math.abs(b - middle));
  }

  async fly() {
    const flights = this.missing().slice(0, Math.max(0, AT_ONCE - this.flights.size));
    await Promise.all(flights.map((part) => this.fetch(part)));
  }

  async fetch(part) {
    const { turn, readings } = this;
    const flight = new AbortController();
    this.flights.set(part, flight);
    let isDone = false;
    try {
      const answer = await this.load(part * this.part, this.length, flight.signal);
      if (turn === this.turn && !this.gone.size) this.take(part, answer);
      else if (readings === this.readings) this.fillUp(part, answer);
      isDone = true;
    } catch (error) {
      if (!wasAborted(error)) this.failed(error);
      isDone = wasAborted(error);
    }
    if (this.flights.get(part) === flight) this.flights.delete(part);
    if (isDone) await this.fly();
  }

  /** Takes what was asked for before the user took others out: what is new of it goes where nothing is yet. */
  fillUp(part, { items }) {
    const known = new Set(this.items.filter((item) => item !== undefined).map(this.key));
    const fresh = items.filter((item) => !known.has(this.key(item)) && !this.gone.has(this.key(item)));
    let index = Math.max(0, part * this.part - this.gone.size);
    for (const item of fresh) {
      while (this.items[index] !== undefined) index += 1;
      if (index < this.total) this.items[index] = item;
    }
    this.isKnown = true;
    this.fresh.add(part);
    if (!this.isWhole(part)) this.tried.add(part);
    this.changed();
  }

  take(part, { total, items }) {
    const first = part * this.part;
    for (let i = 0; i < this.part; i += 1) {
      if (first + i < total) this.items[first + i] = items[i];
    }
    this.items.length = Math.min(this.items.length, total);
    this.total = total;
    this.isKnown = true;
    this.fresh.add(part);
    if (!this.isWhole(part)) this.tried.add(part);
    this.changed();
  }
}

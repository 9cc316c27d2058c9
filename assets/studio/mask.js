// The mask that is drawn: a byte of 0 or 1 per pixel at the picture's own resolution, row by row.
//
// Tools change `values` at will and say within which box; `commit` turns the change into a patch, `revert` takes it back.
// `kept` is the mask as last committed: nothing ever copies or compares more than a box.

import { decode, encode } from "./runs.js";

export class Mask {
  constructor(width, height) {
    this.width = width;
    this.height = height;
    const bytes = 4 * Math.ceil((width * height) / 4);
    this.words = [new Int32Array(bytes / 4), new Int32Array(bytes / 4)];
    [this.values, this.kept] = this.words.map(({ buffer }) => new Uint8Array(buffer, 0, width * height));
    this.count = 0; // pixels of the object in `kept`
  }

  get whole() {
    return { top: 0, left: 0, bottom: this.height, right: this.width };
  }

  clipped(box) {
    const top = Math.max(0, box.top);
    const left = Math.max(0, box.left);
    return {
      top,
      left,
      bottom: Math.max(top, Math.min(this.height, box.bottom)),
      right: Math.max(left, Math.min(this.width, box.right)),
    };
  }

  // Fills row y from x `from` to before `to`.
  span(y, from, to, value) {
    if (y < 0 || y >= this.height) return;
    const left = Math.max(0, from);
    const right = Math.min(this.width, to);
    if (left < right) this.values.fill(value, y * this.width + left, y * this.width + right);
  }

  // The smallest box that has all that changed since the last commit, or null; all of it is within `box`.
  changed(box) {
    const { values, kept, width } = this;
    const [words, others] = this.words; // four pixels are compared at once
    const found = { top: -1, left: box.right, bottom: -1, right: box.left };
    for (let y = box.top; y < box.bottom; y++) {
      const row = y * width;
      let word = (row + box.left) >> 2;
      const end = (row + box.right + 3) >> 2;
      while (word < end && words[word] === others[word]) word++;
      if (word === end) continue;
      let left = Math.max(box.left, 4 * word - row);
      while (left < box.right && values[row + left] === kept[row + left]) left++;
      if (left === box.right) continue; // the change is in the next row, whose first pixels share the word
      let last = end - 1;
      while (words[last] === others[last]) last--;
      let right = Math.min(box.right, 4 * last + 4 - row);
      while (values[row + right - 1] === kept[row + right - 1]) right--;
      if (found.top < 0) found.top = y;
      found.bottom = y + 1;
      found.left = Math.min(found.left, left);
      found.right = Math.max(found.right, right);
    }
    return found.top < 0 ? null : found;
  }

  // What changed within `box`, as { box, before, after } with run lengths; null where nothing did.
  commit(box) {
    const part = this.changed(this.clipped(box));
    if (!part) return null;
    const before = encode(this.kept, this.width, part);
    const after = encode(this.values, this.width, part);
    this.keep(part, after, before);
    return { box: part, before, after };
  }

  revert(box) {
    this.copy(this.kept, this.values, this.clipped(box));
  }

  // Writes run lengths into a box, committed at once.
  write(box, counts) {
    const before = encode(this.kept, this.width, box);
    decode(counts, this.values, this.width, box);
    this.keep(box, counts, before);
  }

  keep(box, after, before) {
    this.copy(this.values, this.kept, box);
    this.count += ones(after) - ones(before);
  }

  copy(from, to, box) {
    for (let y = box.top; y < box.bottom; y++) {
      const row = y * this.width;
      to.set(from.subarray(row + box.left, row + box.right), row + box.left);
    }
  }

  // The smallest box around the object, or null where there is none.
  bounds() {
    const { values, width, height } = this;
    const first = values.indexOf(1);
    if (first < 0) return null;
    const box = { top: Math.floor(first / width), bottom: Math.floor(values.lastIndexOf(1) / width) + 1 };
    let left = width;
    let right = 0;
    for (let y = box.top; y < box.bottom; y++) {
      const row = values.subarray(y * width, (y + 1) * width);
      const start = row.indexOf(1);
      if (start < 0) continue;
      left = Math.min(left, start);
      right = Math.max(right, row.lastIndexOf(1) + 1);
    }
    return { ...box, left, right };
  }
}

const ones = (counts) => counts.reduce((sum, length, index) => sum + (index % 2 ? length : 0), 0);

// The smallest box around two boxes, either of which may be null.
export function around(one, other) {
  if (!one || !other) return one || other;
  return {
    top: Math.min(one.top, other.top),
    left: Math.min(one.left, other.left),
    bottom: Math.max(one.bottom, other.bottom),
    right: Math.max(one.right, other.right),
  };
}

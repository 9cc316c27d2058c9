// What looks at neighbours: flood fill, holes, growing and shrinking. Each returns the box it touched, or null.

// Calls `fill(y, from, to)` for every run of pixels that can be reached from (x, y) by steps to the four neighbours.
// `open(place)` says whether a pixel may be entered; `fill` must see to it that a filled one is not entered again.
function spread(box, width, x, y, open, fill) {
  const waiting = [y * width + x];
  while (waiting.length) {
    const place = waiting.pop();
    if (!open(place)) continue;
    const row = Math.floor(place / width);
    const start = row * width;
    let from = place;
    while (from > start + box.left && open(from - 1)) from--;
    let to = place + 1;
    while (to < start + box.right && open(to)) to++;
    fill(row, from - start, to - start);
    for (const next of [row - 1, row + 1]) {
      if (next < box.top || next >= box.bottom) continue;
      const shift = (next - row) * width;
      for (let at = from; at < to; at++) {
        if (open(at + shift) && (at === from || !open(at + shift - 1))) waiting.push(at + shift);
      }
    }
  }
}

// Pixels around (x, y) whose red, green and blue differ by at most `tolerance` from those there; rgba is the picture's.
export function flood(mask, rgba, x, y, tolerance, value) {
  const { width } = mask;
  const seen = new Uint8Array(mask.values.length);
  const origin = 4 * (y * width + x);
  const [red, green, blue] = rgba.subarray(origin, origin + 3);
  const open = (place) =>
    !seen[place] &&
    Math.abs(rgba[4 * place] - red) <= tolerance &&
    Math.abs(rgba[4 * place + 1] - green) <= tolerance &&
    Math.abs(rgba[4 * place + 2] - blue) <= tolerance;
  const box = { top: y, left: x, bottom: y + 1, right: x + 1 };
  spread(mask.whole, width, x, y, open, (row, from, to) => {
    seen.fill(1, row * width + from, row * width + to);
    mask.span(row, from, to, value);
    box.top = Math.min(box.top, row);
    box.bottom = Math.max(box.bottom, row + 1);
    box.left = Math.min(box.left, from);
    box.right = Math.max(box.right, to);
  });
  return box;
}

// Background that the object encloses becomes object.
export function fillHoles(mask) {
  const box = mask.bounds();
  if (!box) return null;
  const { values, width } = mask;
  const OUTSIDE = 2;
  const open = (place) => values[place] === 0;
  const fill = (row, from, to) => values.fill(OUTSIDE, row * width + from, row * width + to);
  const from = (x, y) => open(y * width + x) && spread(box, width, x, y, open, fill);
  for (let x = box.left; x < box.right; x++) [box.top, box.bottom - 1].forEach((y) => from(x, y));
  for (let y = box.top; y < box.bottom; y++) [box.left, box.right - 1].forEach((x) => from(x, y));
  for (let y = box.top; y < box.bottom; y++) {
    for (let place = y * width + box.left; place < y * width + box.right; place++) {
      values[place] = values[place] === OUTSIDE ? 0 : 1;
    }
  }
  return box;
}

// Pixels at most `reach` away from one of `value` become `value`: it grows by a disc. Nothing grows in from outside.
export function spreadOut(mask, value, reach) {
  const { values, width } = mask;
  const bounds = value ? mask.bounds() : mask.whole;
  if (!bounds) return null;
  const wide = Math.ceil(reach);
  const box = mask.clipped({
    top: bounds.top - wide,
    left: bounds.left - wide,
    bottom: bounds.bottom + wide,
    right: bounds.right + wide,
  });
  const columns = box.right - box.left;
  const rows = box.bottom - box.top;
  const FAR = 65535;
  const away = new Uint16Array(rows * columns).fill(FAR); // rows to the nearest pixel of the value in the column
  const pass = (y, before) => {
    for (let x = 0; x < columns; x++) {
      const own = values[(box.top + y) * width + box.left + x] === value;
      const place = y * columns + x;
      if (own) away[place] = 0;
      else if (before >= 0 && before < rows) away[place] = Math.min(away[place], away[before * columns + x] + 1, FAR);
    }
  };
  for (let y = 0; y < rows; y++) pass(y, y - 1);
  for (let y = rows - 1; y >= 0; y--) pass(y, y + 1);
  const half = Array.from({ length: wide + 1 }, (_, y) => Math.floor(Math.sqrt(Math.max(0, reach * reach - y * y))));
  const edges = new Int32Array(columns + 1);
  for (let y = 0; y < rows; y++) {
    edges.fill(0);
    for (let x = 0; x < columns; x++) {
      const distance = away[y * columns + x];
      if (distance > reach) continue;
      edges[Math.max(0, x - half[distance])]++;
      edges[Math.min(columns, x + half[distance] + 1)]--;
    }
    const row = (box.top + y) * width + box.left;
    for (let x = 0, inside = 0; x < columns; x++) {
      inside += edges[x];
      if (inside > 0) values[row + x] = value;
    }
  }
  return box;
}

export function invert(mask) {
  for (let place = 0; place < mask.values.length; place++) mask.values[place] ^= 1;
  return mask.whole;
}

export function clear(mask) {
  const box = mask.bounds();
  if (box) for (let y = box.top; y < box.bottom; y++) mask.span(y, box.left, box.right, 0);
  return box;
}

// The superpixels of a picture: labels at a size of their own, each pixel of the picture takes the one under its middle.
export class Superpixels {
  constructor(labels, height, width, mask) {
    Object.assign(this, { labels, height, width, mask });
    const under = (large, small) => Int32Array.from({ length: large }, (_, at) => Math.floor(((2 * at + 1) * small) / (2 * large)));
    this.rows = under(mask.height, height);
    this.columns = under(mask.width, width);
    this.boxes = new Map(); // of each label, in labels
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const label = labels[y * width + x];
        const box = this.boxes.get(label);
        if (!box) this.boxes.set(label, { top: y, left: x, bottom: y + 1, right: x + 1 });
        else {
          box.bottom = y + 1;
          if (x < box.left) box.left = x;
          if (x >= box.right) box.right = x + 1;
        }
      }
    }
  }

  at(x, y) {
    return this.labels[this.rows[y] * this.width + this.columns[x]];
  }

  paint(label, value) {
    const { mask, rows, columns, labels, width } = this;
    const small = this.boxes.get(label);
    const box = mask.clipped({
      top: Math.floor((small.top * mask.height) / this.height) - 1,
      left: Math.floor((small.left * mask.width) / width) - 1,
      bottom: Math.ceil((small.bottom * mask.height) / this.height) + 1,
      right: Math.ceil((small.right * mask.width) / width) + 1,
    });
    for (let y = box.top; y < box.bottom; y++) {
      const row = rows[y] * width;
      for (let x = box.left; x < box.right; x++) {
        if (labels[row + columns[x]] === label) mask.values[y * mask.width + x] = value;
      }
    }
    return box;
  }

  // The edges of a superpixel as lines [x0, y0, x1, y1] in the picture's pixels.
  *edges(label) {
    const { labels, height, width, mask } = this;
    const box = this.boxes.get(label);
    const across = mask.width / width;
    const down = mask.height / height;
    const other = (y, x) => y < 0 || x < 0 || y >= height || x >= width || labels[y * width + x] !== label;
    for (let y = box.top; y < box.bottom; y++) {
      for (let x = box.left; x < box.right; x++) {
        if (labels[y * width + x] !== label) continue;
        if (other(y - 1, x)) yield [x * across, y * down, (x + 1) * across, y * down];
        if (other(y + 1, x)) yield [x * across, (y + 1) * down, (x + 1) * across, (y + 1) * down];
        if (other(y, x - 1)) yield [x * across, y * down, x * across, (y + 1) * down];
        if (other(y, x + 1)) yield [(x + 1) * across, y * down, (x + 1) * across, (y + 1) * down];
      }
    }
  }
}

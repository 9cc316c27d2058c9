// Shapes as pixels: a pixel belongs to a shape when its middle does. Each writes `value` and returns the box it touched.

// Where a brush of `size` pixels sits: an odd one on a pixel's middle, an even one between pixels, so that it is even.
export function seat(point, size) {
  const odd = Math.round(size) % 2 === 1;
  const place = (value) => (odd ? Math.floor(value) + 0.5 : Math.round(value));
  return { x: place(point.x), y: place(point.y) };
}

// A brush drawn from one point to another, { x, y, r } each; r is half its size there.
export function sweep(mask, from, to, value, square) {
  const reach = Math.max(from.r, to.r);
  const box = mask.clipped({
    top: Math.floor(Math.min(from.y, to.y) - reach),
    left: Math.floor(Math.min(from.x, to.x) - reach),
    bottom: Math.ceil(Math.max(from.y, to.y) + reach),
    right: Math.ceil(Math.max(from.x, to.x) + reach),
  });
  const dx = to.x - from.x;
  const dy = to.y - from.y;
  const long = dx * dx + dy * dy;
  const inDisc = (x, y) => {
    const t = long ? Math.min(1, Math.max(0, ((x - from.x) * dx + (y - from.y) * dy) / long)) : 0;
    const r = from.r + (to.r - from.r) * t;
    return (x - from.x - dx * t) ** 2 + (y - from.y - dy * t) ** 2 <= r * r + 1e-9;
  };
  for (let row = box.top; row < box.bottom; row++) {
    const y = row + 0.5;
    let first, last;
    if (square) {
      // Along the way, the square covers this row from t = a to t = b.
      let a = 0;
      let b = 1;
      if (dy) {
        const ends = [(y - from.y - reach) / dy, (y - from.y + reach) / dy].sort((one, other) => one - other);
        a = Math.max(0, ends[0]);
        b = Math.min(1, ends[1]);
      } else if (Math.abs(y - from.y) > reach) continue;
      if (a > b) continue;
      const xs = [from.x + dx * a, from.x + dx * b];
      first = Math.ceil(Math.min(...xs) - reach - 0.5 - 1e-9);
      last = Math.floor(Math.max(...xs) + reach - 0.5 + 1e-9);
    } else {
      first = box.left;
      while (first < box.right && !inDisc(first + 0.5, y)) first++;
      if (first === box.right) continue;
      last = box.right - 1;
      while (!inDisc(last + 0.5, y)) last--;
    }
    mask.span(row, first, last + 1, value);
  }
  return box;
}

// Corners are [x, y]; what is enclosed an odd number of times is inside.
export function polygon(mask, corners, value) {
  const ys = corners.map(([, y]) => y);
  const xs = corners.map(([x]) => x);
  const box = mask.clipped({
    top: Math.floor(Math.min(...ys)),
    left: Math.floor(Math.min(...xs)),
    bottom: Math.ceil(Math.max(...ys)),
    right: Math.ceil(Math.max(...xs)),
  });
  for (let row = box.top; row < box.bottom; row++) {
    const y = row + 0.5;
    const cuts = [];
    corners.forEach(([x0, y0], index) => {
      const [x1, y1] = corners[(index + 1) % corners.length];
      if (y0 <= y !== y1 <= y) cuts.push(x0 + ((y - y0) * (x1 - x0)) / (y1 - y0));
    });
    cuts.sort((one, other) => one - other);
    for (let index = 0; index + 1 < cuts.length; index += 2) {
      mask.span(row, Math.ceil(cuts[index] - 0.5), Math.ceil(cuts[index + 1] - 0.5), value);
    }
  }
  return box;
}

export function rectangle(mask, box, value) {
  for (let y = box.top; y < box.bottom; y++) mask.span(y, box.left, box.right, value);
  return mask.clipped(box);
}

// The ellipse that fills a box.
export function ellipse(mask, box, value) {
  const ry = (box.bottom - box.top) / 2;
  const rx = (box.right - box.left) / 2;
  const middle = box.left + rx;
  for (let y = box.top; y < box.bottom; y++) {
    const half = rx * Math.sqrt(Math.max(0, 1 - ((y + 0.5 - box.top - ry) / ry) ** 2));
    mask.span(y, Math.ceil(middle - half - 0.5), Math.floor(middle + half - 0.5) + 1, value);
  }
  return mask.clipped(box);
}

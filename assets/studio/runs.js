// Run lengths of a box of a mask as COCO counts them: columns first, beginning with the number of zeros.
//
// A box is { top, left, bottom, right } in pixels, the last two exclusive; values is a Uint8Array of rows of 0 and 1.

// Goes from row to row: where a row differs from the one above it, a column's run ends. So the time is that of the rows'
// runs, which are found by the browser's own search, and not that of the pixels.
export function encode(values, width, box) {
  const height = box.bottom - box.top;
  const turns = []; // places, columns first, at which a column changes; a column begins with zero
  let above = []; // runs of ones in the row above: from, to, from, to, ...
  let one = -1; // the next one, and zero, at or after the place that was searched from last
  let zero = -1;
  for (let y = 0; y < height; y++) {
    const start = (box.top + y) * width;
    const runs = [];
    for (let place = start + box.left, end = start + box.right; place < end; ) {
      if (one < place) one = values.indexOf(1, place);
      if (one < 0) one = values.length;
      if (one >= end) break;
      if (zero < one) zero = values.indexOf(0, one);
      if (zero < 0) zero = values.length;
      place = Math.min(zero, end);
      runs.push(one - start - box.left, place - start - box.left);
    }
    if (runs.length || above.length) differences(runs, above, (x) => turns.push(x * height + y));
    above = runs;
  }
  // A column that ends with ones goes back to zero; where the next one begins with ones, the two turns are none.
  for (let index = 0; index < above.length; index += 2) {
    for (let x = above[index]; x < above[index + 1]; x++) turns.push((x + 1) * height);
  }
  const places = Float64Array.from(turns).sort();
  const counts = [];
  let last = 0;
  for (let index = 0; index < places.length; index++) {
    if (places[index] === places[index + 1]) index++;
    else {
      counts.push(places[index] - last);
      last = places[index];
    }
  }
  const end = height * (box.right - box.left);
  if (last < end || !counts.length) counts.push(end - last);
  return counts;
}

// Calls `tell` for every x that is in one of two lists of runs and not in both.
function differences(runs, others, tell) {
  let index = 0;
  let other = 0;
  let open = false;
  let x = 0;
  while (index < runs.length || other < others.length) {
    const next = Math.min(runs[index] ?? Infinity, others[other] ?? Infinity);
    if (open) for (; x < next; x++) tell(x);
    x = next;
    if (runs[index] === next) {
      open = !open;
      index++;
    }
    if (others[other] === next) {
      open = !open;
      other++;
    }
  }
}

export function decode(counts, values, width, box) {
  const height = box.bottom - box.top;
  let at = 0;
  counts.forEach((length, index) => {
    const value = index % 2;
    for (const end = at + length; at < end; ) {
      const x = Math.floor(at / height);
      const stop = Math.min(end, (x + 1) * height);
      let place = (box.top + at - x * height) * width + box.left + x;
      for (; at < stop; at++, place += width) values[place] = value;
    }
  });
}

export const sides = (box) => [box.top, box.left, box.bottom - box.top, box.right - box.left]; // as on the wire

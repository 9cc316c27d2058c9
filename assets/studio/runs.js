// Run lengths of a box of a mask as COCO counts them: columns first, beginning with the number of zeros.
//
// A box is { top, left, bottom, right } in pixels, the last two exclusive; values is a Uint8Array of rows of 0 and 1.

const BLOCK = 64; // columns that are turned at once, so that rows are read piece by piece and not pixel by pixel

export function encode(values, width, box) {
  const height = box.bottom - box.top;
  const turned = new Uint8Array(BLOCK * height);
  const counts = [];
  let current = 0;
  let length = 0;
  for (let left = box.left; left < box.right; left += BLOCK) {
    const columns = Math.min(BLOCK, box.right - left);
    for (let y = 0; y < height; y++) {
      const row = (box.top + y) * width + left;
      for (let x = 0; x < columns; x++) turned[x * height + y] = values[row + x];
    }
    const end = columns * height;
    let at = 0;
    while (at < end) {
      let next = turned.indexOf(1 - current, at);
      if (next < 0 || next > end) next = end;
      length += next - at;
      at = next;
      if (at < end) {
        counts.push(length);
        length = 0;
        current = 1 - current;
      }
    }
  }
  counts.push(length);
  return counts;
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

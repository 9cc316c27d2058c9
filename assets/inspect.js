// One map beside its picture, large: the same place in both, and a region that is drawn with mouse or finger.
//
// Data is that of the grid with one model and one map, and the region [top, left, height, width] in the model's pixels.
// Tiles and cells are those of tiles.js. While the view is zoomed, dragging moves it, as in the grid.

const SMALLEST = 3; // pixels; less is a click

class Inspector extends View {
  constructor(parent) {
    super();
    this.root = parent.querySelector(".inspect");
    this.classes = new Classes((index) => this.trigger("target", index));
    this.failure = make("p", "failure");
    this.pair = make("div", "pair");
    this.picture = new Tile(this, "picture");
    this.cell = new Cell(this);
    this.title = make("div", "title", "Picture");
    const first = make("div", "cell");
    first.append(this.title, this.picture.element);
    this.pair.append(first, this.cell.element);
    this.tiles = new Set([this.picture, this.cell.tile]);
    for (const tile of this.tiles) {
      tile.region = make("div", "region");
      tile.element.append(tile.region);
      tile.element.addEventListener("pointercancel", () => this.giveUp());
    }
    this.root.replaceChildren(this.classes.element, this.failure, this.pair);
  }

  update({ data: packed, setTriggerValue }) {
    const data = JSON.parse(new TextDecoder().decode(packed));
    const [row] = data.rows;
    this.trigger = setTriggerValue;
    this.setLook(data.look);
    [this.height, this.width] = data.size;
    this.classes.update(row);
    setText(this.failure, row.failure);
    this.failure.hidden = !row.failure;
    this.pair.hidden = !!row.failure;
    this.picture.show(row.frame, null, `The picture as ${row.title} sees it`);
    this.cell.update(row.cells[0], row);
    this.root.dataset.action = data.action;
    this.root.classList.toggle("drawable", data.region !== null);
    this.root.style.setProperty("--hidden", `rgb(${data.hidden.join(" ")})`);
    if (!this.start && !this.isLate(data.region)) this.region = data.region;
    this.place();
  }

  // Whether data was on its way already when a region was drawn.
  isLate(region) {
    const late = this.sent && String(region) !== String(this.sent.region) && Date.now() < this.sent.time + 2000;
    if (!late) this.sent = null;
    return late;
  }

  // The pixel under the pointer, within the picture.
  pixel(tile, event) {
    const [x, y] = this.relative(tile, event);
    const within = (value, count) => Math.min(count - 1, Math.max(0, Math.floor(value * count)));
    return [within(y, this.height), within(x, this.width)];
  }

  press(tile, event) {
    if (this.zoom.scale > 1 || !this.region) return super.press(tile, event);
    if (event.button !== 0) return;
    this.start = this.pixel(tile, event);
    this.before = this.region;
    tile.element.setPointerCapture(event.pointerId);
    tile.element.addEventListener("pointerup", () => this.finish(), { once: true });
  }

  point(tile, event) {
    super.point(tile, event);
    if (!this.start) return;
    const end = this.pixel(tile, event);
    const [top, left] = [0, 1].map((axis) => Math.min(this.start[axis], end[axis]));
    const [height, width] = [0, 1].map((axis) => Math.abs(this.start[axis] - end[axis]) + 1);
    this.region = Math.min(height, width) < SMALLEST ? this.before : [top, left, height, width];
    this.place();
  }

  finish() {
    const changed = this.start && this.region !== this.before;
    this.start = null;
    if (!changed) return;
    this.sent = { region: this.region, time: Date.now() };
    this.trigger("region", this.region);
  }

  giveUp() {
    if (this.start) this.region = this.before;
    this.start = this.drag = null;
    this.place();
  }

  place() {
    super.place();
    const { scale, x, y } = this.zoom;
    for (const { element, region } of this.tiles) {
      region.hidden = !this.region;
      if (!this.region) continue;
      const [top, left, height, width] = this.region;
      region.style.left = `${100 * ((left / this.width) * scale + x)}%`;
      region.style.top = `${100 * ((top / this.height) * scale + y)}%`;
      region.style.width = `${(100 * width * scale) / this.width}%`;
      region.style.height = `${(100 * height * scale) / this.height}%`;
      region.style.setProperty("--blur", `${(10 * scale * element.clientWidth) / this.width}px`); // sigma of 10 pixels
    }
  }
}

const inspectors = new WeakMap();

export default function (component) {
  const { parentElement } = component;
  if (!inspectors.has(parentElement)) inspectors.set(parentElement, new Inspector(parentElement));
  inspectors.get(parentElement).update(component);
}

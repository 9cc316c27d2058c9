// The grid of models x saliency maps: draws what the page decided, links cross-hair and zoom over all maps.
//
// Data comes as bytes of JSON (see xai_core/render/grid.py). Tiles and cells are those of tiles.js.

class Grid extends View {
  constructor(parent) {
    super();
    this.root = parent.querySelector(".grid") || parent.appendChild(make("div", "grid"));
    this.rows = new Map();
    this.all = false;
  }

  update({ data: packed, setTriggerValue }) {
    const data = JSON.parse(new TextDecoder().decode(packed));
    this.trigger = setTriggerValue;
    this.setLook(data.look);
    this.data = data;
    const wanted = new Set(data.rows.map((row) => row.model));
    for (const [model, row] of this.rows) {
      if (!wanted.has(model)) {
        row.element.remove();
        this.rows.delete(model);
      }
    }
    data.rows.forEach((row, place) => {
      if (!this.rows.has(row.model)) this.rows.set(row.model, new Row(this));
      const shown = this.rows.get(row.model);
      shown.update(row, data);
      if (this.root.children[place] !== shown.element) this.root.insertBefore(shown.element, this.root.children[place] || null);
    });
    this.tiles = new Set([...this.rows.values()].flatMap((row) => row.tiles));
    this.place();
  }

  toggle() {
    this.all = !this.all;
    for (const row of this.rows.values()) row.showScores();
  }
}

class Row {
  constructor(grid) {
    this.grid = grid;
    this.element = make("section", "row");
    this.head = make("header", "head");
    this.title = make("h3");
    this.classes = new Classes((index) => grid.trigger("target", index));
    this.head.append(this.title, this.classes.element);
    this.failure = make("p", "failure");
    this.body = make("div", "body");
    this.element.append(this.head, this.failure, this.body);
    this.cells = new Map();
    this.picture = new Tile(grid, "picture");
    this.first = make("div", "first");
    this.thumbs = make("div", "thumbs");
    this.first.append(this.picture.element, this.thumbs);
    this.thumbTiles = [];
  }

  get tiles() {
    return [this.picture, ...this.thumbTiles, ...[...this.cells.values()].map((cell) => cell.tile)];
  }

  update(row, data) {
    setText(this.title, row.title);
    setText(this.failure, row.failure);
    this.failure.hidden = !row.failure;
    this.body.hidden = !!row.failure;
    this.classes.update(row);
    this.picture.show(row.frame, null, `The picture as ${row.title} sees it`);
    this.showThumbs(row);
    this.body.style.setProperty("--maps", row.cells.length);
    for (const [name, cell] of this.cells) {
      if (!row.cells.some((one) => one.name === name)) {
        cell.element.remove();
        this.cells.delete(name);
      }
    }
    if (this.body.firstChild !== this.first) this.body.prepend(this.first);
    row.cells.forEach((cell, place) => {
      if (!this.cells.has(cell.name)) this.cells.set(cell.name, new Cell(this.grid));
      const shown = this.cells.get(cell.name);
      shown.update(cell, row);
      const before = this.body.children[place + 1];
      if (before !== shown.element) this.body.insertBefore(shown.element, before || null);
    });
    this.scores = row.scores;
    this.names = data.baselines;
    this.showScores();
  }

  showThumbs(row) {
    while (this.thumbTiles.length > row.baselines.length) this.thumbTiles.pop().element.parentElement.remove();
    row.baselines.forEach((one, place) => {
      if (!this.thumbTiles[place]) {
        const tile = new Tile(this.grid, "thumb");
        const figure = make("figure");
        figure.append(tile.element, make("figcaption", "", one.title));
        this.thumbs.append(figure);
        this.thumbTiles.push(tile);
      }
      this.thumbTiles[place].show(null, one.map, `Baseline map: ${one.title}`);
    });
  }

  showScores() {
    const lines = this.scores.filter((line) => this.grid.all || line.headline);
    const mark = JSON.stringify([lines, this.names, this.grid.all]);
    if (mark === this.scoresMark) return;
    this.scoresMark = mark;
    for (const old of [...this.body.querySelectorAll(".score")]) old.remove();
    for (const line of lines) {
      const label = make("div", "score name");
      label.title = line.help;
      label.append(make("span", "what", line.title), make("span", "arrow", ` ${line.arrow}`));
      const baselines = make("span", "baselines");
      line.baselines.forEach((one, place) => {
        const part = make("span", one.state, one.text || "…");
        part.title = `${this.names[place]}: ${one.title || one.text}`;
        baselines.append(part);
      });
      label.append(baselines);
      this.body.append(label);
      for (const one of line.values) {
        const value = make("div", `score number ${one.state}${one.best ? " best" : ""}`, one.text);
        if (one.text && one.text !== "–" && one.text !== "!" && line.unit) value.append(make("small", "", ` ${line.unit}`));
        value.title = one.title || line.help;
        value.dataset.score = line.id;
        this.body.append(value);
      }
    }
    if (this.scores.length > this.scores.filter((line) => line.headline).length) {
      const more = make("button", "score more", this.grid.all ? "Fewer scores" : "More scores");
      more.type = "button";
      more.addEventListener("click", () => this.grid.toggle());
      this.body.append(more);
    }
  }
}

const grids = new WeakMap();

export default function (component) {
  const { parentElement } = component;
  if (!grids.has(parentElement)) grids.set(parentElement, new Grid(parentElement));
  grids.get(parentElement).update(component);
}

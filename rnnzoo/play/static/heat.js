// The heat map: units from top to bottom, characters from left to right, on one canvas.
// Only what is in view is drawn, so that a long text costs no more than a short one.

const COLUMN = 14; // pixels of a character
const [CAPTION, TWO_LINES, NARROW] = [26, 44, 500]; // of an array's name; where there is less room
const AXIS = 20; // of the characters below
const SAMPLES = 4000; // values that the scale of an array is taken from

export class Heat {
  /**
   * @param canvas inside an element that is as wide as all columns, inside one that scrolls.
   * @param arrays [{name, size, every}]
   * @param glyph a character's name to what is drawn below its column.
   */
  constructor(canvas, arrays, glyph) {
    this.canvas = canvas;
    this.wide = canvas.parentElement;
    this.scroll = this.wide.parentElement;
    this.arrays = arrays;
    this.glyph = glyph;
    this.clear();
    this.scroll.addEventListener("scroll", () => this.draw());
    new ResizeObserver(() => this.draw()).observe(this.scroll);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  clear() {
    this.columns = []; // of characters: {name, state}
    this.scales = this.arrays.map(() => 1);
    this.samples = this.arrays.map(() => []);
    this.selected = null;
    this.unit = null; // {array, row}
    this.scroll.scrollLeft = 0;
    this.draw();
  }

  add(columns) {
    const atEnd = this.scroll.scrollLeft + this.scroll.clientWidth >= this.wide.clientWidth - COLUMN;
    this.columns.push(...columns);
    this.arrays.forEach((_, a) => this.rescale(a, columns));
    this.draw();
    if (atEnd) this.scroll.scrollLeft = this.wide.clientWidth;
  }

  /** The colours end at a round number that hardly any value is beyond. */
  rescale(a, columns) {
    const seen = this.samples[a];
    for (const { state } of columns) {
      if (seen.length < SAMPLES) for (const v of state[a]) if (v !== null) seen.push(Math.abs(v));
    }
    if (!seen.length) return;
    const large = Float64Array.from(seen).sort()[Math.floor(0.99 * (seen.length - 1))] || 1;
    const unit = 10 ** Math.floor(Math.log10(large));
    this.scales[a] = [1, 2, 5, 10].map((m) => m * unit).find((s) => s >= large * 0.999);
  }

  rows(a) {
    return Math.ceil(this.arrays[a].size / this.arrays[a].every);
  }

  captionHeight() {
    return this.scroll.clientWidth < NARROW ? TWO_LINES : CAPTION;
  }

  /** Where each array is drawn: [top, height of a row]. */
  layout() {
    const caption = this.captionHeight();
    const wanted = this.arrays.length === 1 ? 256 : this.arrays.length === 2 ? 160 : 96;
    let top = 0;
    return this.arrays.map((_, a) => {
      const height = Math.max(1, Math.min(16, Math.round(wanted / this.rows(a))));
      const place = [top + caption, height];
      top += caption + height * this.rows(a) + 6;
      return place;
    });
  }

  draw() {
    const places = this.layout();
    const last = places.length - 1;
    const bottom = last < 0 ? 0 : places[last][0] + places[last][1] * this.rows(last);
    const width = this.scroll.clientWidth;
    const height = bottom + AXIS;
    this.wide.style.width = `${Math.max(this.columns.length * COLUMN, 1)}px`;
    const ratio = window.devicePixelRatio || 1;
    this.canvas.style.width = `${width}px`;
    this.canvas.style.height = `${height}px`;
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(height * ratio);
    const pen = this.canvas.getContext("2d");
    pen.scale(ratio, ratio);
    pen.imageSmoothingEnabled = false;

    const style = getComputedStyle(this.canvas);
    const look = (name) => style.getPropertyValue(name).trim();
    const colours = ["--heat-minus", "--heat-zero", "--heat-plus"].map((n) => rgb(look(n)));
    const left = this.scroll.scrollLeft;
    const first = Math.floor(left / COLUMN);
    const count = Math.min(this.columns.length - first, Math.ceil(width / COLUMN) + 1);
    this.arrays.forEach((array, a) => {
      const [top, row] = places[a];
      this.caption(pen, array, a, top, width, look, colours);
      if (count > 0) {
        const picture = this.picture(a, first, count, colours);
        pen.drawImage(picture, first * COLUMN - left, top, count * COLUMN, row * this.rows(a));
      }
    });
    this.axis(pen, first, count, left, bottom, look);
    this.marks(pen, places, left, bottom, look);
  }

  caption(pen, array, a, top, width, look, colours) {
    pen.font = `13px ${look("--sans")}`;
    pen.textBaseline = "middle";
    pen.textAlign = "left";
    pen.fillStyle = look("--ink");
    const every = array.every > 1 ? `, every ${ordinal(array.every)} is shown` : "";
    const above = top - this.captionHeight() + CAPTION / 2;
    pen.fillText(`${array.name}: ${array.size.toLocaleString("en")} numbers${every}`, 1, above);
    const [room, scale] = [80, short(this.scales[a])];
    const middle = top - CAPTION / 2;
    const x = width < NARROW ? 46 : width - room - 46;
    const shade = pen.createLinearGradient(x, 0, x + room, 0);
    colours.forEach((c, i) => shade.addColorStop(i / 2, `rgb(${c})`));
    pen.fillStyle = shade;
    pen.fillRect(x, middle - 5, room, 10);
    pen.fillStyle = look("--muted");
    pen.textAlign = "right";
    pen.fillText(`−${scale}`, x - 5, middle);
    pen.textAlign = "left";
    pen.fillText(`+${scale}`, x + room + 5, middle);
  }

  /** A canvas with one pixel for each number in view. */
  picture(a, first, count, colours) {
    const rows = this.rows(a);
    const small = new OffscreenCanvas(count, rows);
    const pen = small.getContext("2d");
    const image = pen.createImageData(count, rows);
    for (let c = 0; c < count; c++) {
      const values = this.columns[first + c].state[a];
      for (let r = 0; r < rows; r++) {
        if (values[r] === null) continue; // no finite number: stays empty
        const v = Math.max(-1, Math.min(1, values[r] / this.scales[a]));
        const [end, share] = [v < 0 ? colours[0] : colours[2], Math.abs(v)];
        const at = 4 * (r * count + c);
        for (let k = 0; k < 3; k++) image.data[at + k] = colours[1][k] + share * (end[k] - colours[1][k]);
        image.data[at + 3] = 255;
      }
    }
    pen.putImageData(image, 0, 0);
    return small;
  }

  axis(pen, first, count, left, bottom, look) {
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    for (let c = first; c < first + count; c++) {
      pen.fillStyle = look(c === this.selected ? "--ink" : "--muted");
      const sign = this.glyph(this.columns[c].name).replace(/^0x/, "").slice(0, 2);
      pen.font = `${c === this.selected ? "bold " : ""}${sign.length > 1 ? 10 : 12}px ${look("--mono")}`;
      pen.fillText(sign, (c + 0.5) * COLUMN - left, bottom + AXIS / 2);
    }
  }

  marks(pen, places, left, bottom, look) {
    if (this.selected === null || this.selected >= this.columns.length) return;
    const x = this.selected * COLUMN - left;
    pen.strokeStyle = look("--ink");
    pen.lineWidth = 2;
    this.arrays.forEach((_, a) => pen.strokeRect(x, places[a][0], COLUMN, places[a][1] * this.rows(a)));
    if (!this.unit) return;
    const [top, row] = places[this.unit.array];
    pen.strokeStyle = look("--focus");
    pen.strokeRect(x - 2, top + this.unit.row * row - 2, COLUMN + 4, row + 4);
  }

  /** Marks a column, and brings it into view. */
  select(column) {
    this.selected = column;
    if (column !== null) {
      const x = column * COLUMN;
      const { scrollLeft, clientWidth } = this.scroll;
      if (x < scrollLeft || x + COLUMN > scrollLeft + clientWidth) this.scroll.scrollLeft = x - clientWidth / 2;
    }
    this.draw();
  }

  /** The column and unit under a mouse. */
  at(event) {
    const box = this.canvas.getBoundingClientRect();
    const column = Math.floor((event.clientX - box.left + this.scroll.scrollLeft) / COLUMN);
    const y = event.clientY - box.top;
    let unit = null;
    this.layout().forEach(([top, row], a) => {
      const r = Math.floor((y - top) / row);
      if (r >= 0 && r < this.rows(a)) unit = { array: a, row: r };
    });
    return { column: column < this.columns.length ? column : null, unit };
  }

  /** Goes up or down, from the last unit of an array to the first of the next. */
  move(step) {
    const all = this.arrays.flatMap((_, a) => Array.from({ length: this.rows(a) }, (_, row) => ({ array: a, row })));
    const now = this.unit ? all.findIndex((u) => u.array === this.unit.array && u.row === this.unit.row) : -step;
    this.unit = all[Math.max(0, Math.min(all.length - 1, now + step))] ?? null;
    this.draw();
  }

  /** What the marked cell is, as text. */
  reading() {
    if (!this.unit || this.selected === null || !this.columns[this.selected]) return "";
    const { name, every } = this.arrays[this.unit.array];
    const value = this.columns[this.selected].state[this.unit.array][this.unit.row];
    const number = value === null ? "no finite number" : String(value).replace("-", "−");
    return `${name}, number ${this.unit.row * every + 1}, before “${this.glyph(this.columns[this.selected].name)}”: ${number}`;
  }
}

function rgb(colour) {
  const n = parseInt(colour.slice(1), 16);
  return [n >> 16, (n >> 8) & 255, n & 255];
}

function ordinal(n) {
  const tens = n % 100;
  const end = tens > 10 && tens < 14 ? "th" : ["th", "st", "nd", "rd"][n % 10] ?? "th";
  return `${n}${end}`;
}

function short(x) {
  return x >= 0.001 && x < 10000 ? String(Number(x.toPrecision(2))) : x.toExponential(0);
}

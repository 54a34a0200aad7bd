"use strict";
// ---- samples ------------------------------------------------------------------------------------

for (const run of data.samples) {
  const card = document.createElement("div");
  card.className = "sample";
  const title = document.createElement("h3");
  title.textContent = run.name;
  card.append(title);
  if (!run.epochs.length) {
    card.append("This run logged no samples.");
  } else {
    const label = document.createElement("label"), slider = document.createElement("input");
    const text = document.createElement("pre");
    slider.type = "range";
    slider.max = run.epochs.length - 1;
    const show = () => {
      const [epoch, texts] = run.epochs[slider.value];
      label.firstChild.textContent = `after epoch ${epoch}`;
      slider.setAttribute("aria-valuetext", `epoch ${epoch}`);
      text.textContent = texts.join("\n———\n");
    };
    label.append("", slider);
    slider.value = slider.max;
    slider.addEventListener("input", show);
    card.append(label, text);
    show();
  }
  byId("sample-columns").append(card);
}

// ---- the text reader ----------------------------------------------------------------------------

let reading = null;  // the run that is shown
let spans = [];
let here = -1;  // the character under the cursor

const unpack = (column) => {
  if (!column.values) column.values = Uint8Array.from(atob(column.bytes), (c) => c.charCodeAt(0));
  return column.values;
};
const scaled = (column, unit, byte) =>
  column.low[unit] + (column.high[unit] - column.low[unit]) * byte / 255;
const valueOf = (column, t, unit) =>
  scaled(column, unit, unpack(column)[t * column.units + unit]);

function chosen() {
  const index = Number(byId("reader-signal").value);
  const isLoss = index < reading.losses.length;
  const column = isLoss ? reading.losses[index] : reading.signals[index - reading.losses.length];
  const unit = isLoss ? 0 : nearest(column.numbers, Number(byId("reader-unit").value));
  return { column, unit, isLoss };
}

function nearest(numbers, wanted) {  // of many units, not all are on the page
  let best = 0;
  numbers.forEach((n, i) => { if (Math.abs(n - wanted) < Math.abs(numbers[best] - wanted)) best = i; });
  return best;
}

// A loss belongs to the character that was guessed; a signal to the one that was read.
const at = (i, isLoss) => (isLoss ? i - 1 : i);

function shade(column, unit, byte) {
  if (column.low[unit] < 0) {
    const share = (byte - 127.5) / 127.5;
    return `rgba(${css(share >= 0 ? "--up" : "--down")}, ${(0.75 * Math.abs(share)).toFixed(3)})`;
  }
  return `rgba(${css(column.kind === "gate" ? "--up" : "--loss")}, ${(0.75 * byte / 255).toFixed(3)})`;
}

function paint() {
  const { column, unit, isLoss } = chosen();
  byId("reader-unit-label").hidden = isLoss;
  byId("reader-previous").hidden = byId("reader-next").hidden = isLoss;
  const steps = unpack(column).length / column.units;
  const colors = Array.from({ length: 256 }, (_, byte) => shade(column, unit, byte));
  spans.forEach((span, i) => {
    const t = at(i, isLoss);
    span.style.backgroundColor = t >= 0 && t < steps ? colors[column.values[t * column.units + unit]] : "";
  });
  const ramp = document.createElement("span");
  ramp.className = "ramp";
  ramp.style.background = `linear-gradient(to right, ${[0, 64, 128, 192, 255].map((b) => colors[b]).join(", ")})`;
  const ends = [0, 255].map((byte) => Number(scaled(column, unit, byte).toPrecision(2)).toString());
  const what = isLoss ? `${column.name}, bits, of each character` : `${column.name}, unit ${column.numbers[unit]}`;
  byId("reader-scale").replaceChildren(`${what} (${reading.part} text): ${ends[0]}`, ramp, ends[1]);
  if (here >= 0) tell(here);
}

function tell(i) {
  if (here >= 0) spans[here].classList.remove("here");
  here = i;
  spans[i].classList.add("here");
  const { column, unit, isLoss } = chosen();
  const parts = [`“${reading.characters[i] === "\n" ? "line end" : reading.characters[i]}”`];
  if (i > 0) parts.push(...reading.losses.map((c) => `${c.name} ${valueOf(c, i - 1, 0).toFixed(2)} bits`));
  if (!isLoss && i < unpack(column).length / column.units) {
    parts.push(`${column.name}, unit ${column.numbers[unit]}: ${valueOf(column, i, unit).toFixed(2)}`);
  }
  byId("reader-now").textContent = parts.join(" · ");
}

function read(run) {
  reading = data.texts[run];
  const select = byId("reader-signal"), before = select.selectedIndex;
  select.replaceChildren(...[...reading.losses, ...reading.signals].map((column, i) => new Option(column.name, i)));
  if (before > 0 && before < select.options.length) select.selectedIndex = before;
  spans = reading.characters.map((character, i) => {
    const span = document.createElement("span");
    span.textContent = character === "\n" ? "↵\n" : character;
    span.addEventListener("pointerenter", () => tell(i));
    return span;
  });
  here = -1;
  byId("reader-text").replaceChildren(...spans);
  limitUnit();
  paint();
}

function limitUnit() {
  const { column, isLoss } = chosen();
  if (!isLoss) byId("reader-unit").max = column.numbers[column.numbers.length - 1];
}

function turn(step) {
  const { column, unit } = chosen();
  const numbers = column.numbers;
  byId("reader-unit").value = numbers[(unit + step + numbers.length) % numbers.length];
  paint();
}

if (data.texts.length) {
  byId("reader-run").addEventListener("change", (event) => read(Number(event.target.value)));
  byId("reader-signal").addEventListener("change", () => { limitUnit(); paint(); });
  byId("reader-unit").addEventListener("input", paint);
  byId("reader-previous").addEventListener("click", () => turn(-1));
  byId("reader-next").addEventListener("click", () => turn(1));
  byId("reader-text").addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -60, ArrowDown: 60 }[event.key];
    if (!step) return;
    event.preventDefault();
    tell(Math.min(spans.length - 1, Math.max(0, here + step)));
    spans[here].scrollIntoView({ block: "nearest" });
  });
  all("button.show").forEach((button) => button.addEventListener("click", () => {
    byId("reader-run").value = button.dataset.run;
    read(Number(button.dataset.run));
    byId("reader-signal").value = reading.losses.length + Number(button.dataset.signal);
    byId("reader-unit").value = button.dataset.unit;
    limitUnit();
    paint();
    byId("text").scrollIntoView();
  }));
  document.addEventListener("theme", paint);
  read(0);
}

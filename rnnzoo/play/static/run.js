// One run on the page: its text, what it expected instead, and its hidden state.

import { Heat } from "./heat.js";

const LEAST = [0.9, 0.5, 0.2, 0.05, 0.01]; // of the classes s0, s1, ...; what is below is s5
const GLYPHS = { "\n": "↵", " ": "␣", "\t": "⇥", "\r": "␍" };

/** A character's name as something to see. */
export function glyph(name) {
  if (name in GLYPHS) return GLYPHS[name];
  return /^[\p{C}\p{Z}]$/u.test(name) ? `U+${name.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}` : name;
}

export function percent(p) {
  if (p === null) return "not a number";
  if (p > 0 && p < 0.0001) return "< 0.01 %";
  return `${(100 * p).toFixed(p >= 0.0995 ? 0 : p >= 0.00995 ? 1 : 2)} %`;
}

export class Run {
  /**
   * @param about what the server says of the run.
   * @param onSelect called with the place of a character that a person selects.
   */
  constructor(about, onSelect) {
    this.about = about;
    this.onSelect = onSelect;
    this.element = document.getElementById("run").content.firstElementChild.cloneNode(true);
    const find = (selector) => this.element.querySelector(selector);
    this.text = find(".text");
    this.error = find(".error");
    this.parts = { glyph: find(".glyph"), said: find(".said"), drawn: find(".drawn"), bars: find(".bars") };
    this.states = find(".states");
    this.reading = find(".reading");
    find("h2").textContent = about.name;
    find(".about").textContent = describe(about);
    this.text.setAttribute("aria-label", `Text of ${about.name}; arrow keys go through it`);
    find(".note").textContent = note(about);
    const canvas = find("canvas");
    canvas.setAttribute("aria-label", `Heat map of the hidden state of ${about.name}; arrow keys read it`);
    this.heat = new Heat(canvas, about.arrays, glyph);
    this.clear();
    this.listen(canvas);
  }

  clear() {
    this.characters = [];
    this.queue = [];
    this.selected = null;
    this.text.replaceChildren();
    this.text.removeAttribute("aria-activedescendant");
    this.error.textContent = "";
    this.reading.textContent = "";
    this.states.classList.remove("some");
    this.heat.clear();
    this.explain(null);
  }

  listen(canvas) {
    const place = (event) => {
      const span = event.target.closest("span");
      if (span) this.onSelect(this, Number(span.dataset.place));
    };
    this.text.addEventListener("pointerover", place);
    this.text.addEventListener("click", place);
    this.text.addEventListener("focus", () => {
      if (this.selected === null && this.characters.length) this.onSelect(this, 0);
    });
    this.text.addEventListener("keydown", (event) => this.key(event, this.characters.length));
    canvas.addEventListener("keydown", (event) => {
      const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
      if (step) {
        event.preventDefault();
        this.heat.move(step);
      } else this.key(event);
      this.reading.textContent = this.heat.reading();
    });
    const point = (event) => {
      const { column, unit } = this.heat.at(event);
      if (column === null) return;
      this.heat.unit = unit;
      this.onSelect(this, column + this.unexpected());
    };
    canvas.addEventListener("pointermove", point);
    canvas.addEventListener("click", point);
  }

  key(event) {
    const last = this.characters.length - 1;
    const now = this.selected ?? 0;
    const next = {
      ArrowLeft: now - 1, ArrowRight: now + 1, ArrowUp: this.lineBeside(now, -1), ArrowDown: this.lineBeside(now, 1),
      Home: 0, End: last,
    }[event.key];
    if (next === undefined || last < 0) return;
    event.preventDefault();
    this.onSelect(this, Math.max(0, Math.min(last, next)));
  }

  /** The character above or below another on the page. */
  lineBeside(place, direction) {
    const spans = this.text.children;
    const from = spans[place]?.getBoundingClientRect();
    let best = place;
    for (let i = place + direction; from && i >= 0 && i < spans.length; i += direction) {
      const box = spans[i].getBoundingClientRect();
      if (Math.abs(box.top - from.top) < 3) continue;
      if (best === place || Math.abs(box.left - from.left) < Math.abs(spans[best].getBoundingClientRect().left - from.left)) best = i;
      if (Math.abs(box.top - spans[best].getBoundingClientRect().top) > 3) break;
    }
    return best;
  }

  /** How many characters have no column: the prompt's first, before which nothing was expected. */
  unexpected() {
    return this.characters.length && this.characters[0].state === null ? 1 : 0;
  }

  /** Shows so many of the characters that have come. */
  reveal(count) {
    const shown = this.queue.splice(0, count);
    if (!shown.length) return;
    const follows = this.text.scrollTop + this.text.clientHeight >= this.text.scrollHeight - 4;
    for (const character of shown) {
      this.text.append(this.span(character, this.characters.length));
      this.characters.push(character);
    }
    if (follows) this.text.scrollTop = this.text.scrollHeight;
    const columns = shown.filter((c) => c.state !== null);
    if (columns.length && this.about.arrays.length) {
      this.states.classList.add("some");
      this.heat.add(columns);
    }
  }

  span(character, place) {
    const span = document.createElement("span");
    const { text, name, p, drawn } = character;
    span.textContent = text || name.replace(/^0x/, "");
    span.dataset.place = place;
    span.id = `${this.element.id}-${place}`;
    if (p !== null) span.classList.add(`s${LEAST.filter((least) => p < least).length}`);
    if (!drawn) span.classList.add("given");
    if (!text) span.classList.add("byte");
    if (text === "\n") span.classList.add("line");
    span.setAttribute("role", "option");
    span.setAttribute("aria-label", `${glyph(name)}, ${p === null ? "given" : percent(p)}`);
    return span;
  }

  select(place) {
    const spans = this.text.children;
    if (this.selected !== null) {
      spans[this.selected]?.classList.remove("selected");
      spans[this.selected]?.removeAttribute("aria-selected");
    }
    this.selected = place;
    spans[place].classList.add("selected");
    spans[place].setAttribute("aria-selected", "true");
    this.text.setAttribute("aria-activedescendant", spans[place].id);
    this.bringIntoView(spans[place]);
    const column = place - this.unexpected();
    this.heat.select(column < 0 ? null : column);
    this.reading.textContent = this.heat.reading();
    this.explain(this.characters[place]);
  }

  /** Scrolls the text alone, not the page. */
  bringIntoView(span) {
    const [box, frame] = [span.getBoundingClientRect(), this.text.getBoundingClientRect()];
    if (box.top < frame.top) this.text.scrollTop -= frame.top - box.top + 8;
    if (box.bottom > frame.bottom) this.text.scrollTop += box.bottom - frame.bottom + 8;
  }

  /** Says how probable a character was, and what else was expected. */
  explain(character) {
    const { glyph: sign, said, drawn, bars } = this.parts;
    sign.textContent = character ? glyph(character.name) : "";
    drawn.textContent = "";
    bars.replaceChildren();
    if (!character) {
      said.textContent = "Point at a character, or go through the text with the arrow keys: here is what the network expected in its place.";
      return;
    }
    if (character.state === null) {
      said.textContent = "begins your prompt: nothing was expected before it";
      return;
    }
    const { p, q, rank, top, name } = character;
    const number = document.createElement("b");
    number.textContent = percent(p);
    said.replaceChildren(number, ` probable, ${rank === 1 ? "the likeliest" : `${ordinalOf(rank)} likeliest`} of ${this.about.characters}`);
    if (!character.drawn) drawn.textContent = "read from your prompt";
    else if (Math.abs(p - q) > 1e-6) drawn.textContent = `drawn with ${percent(q)} by these settings (thin bars)`;
    else drawn.textContent = "drawn with that probability";
    const rows = top.some(([other]) => other === name) ? top : [...top, [name, p, q]];
    bars.append(...rows.map(([other, ...chances]) => bar(other, ...chances, other === name, character.drawn)));
  }
}

function bar(name, p, q, chosen, drawn) {
  const row = document.createElement("li");
  row.classList.toggle("chosen", chosen);
  const part = (kind, text = "") => {
    const element = document.createElement("span");
    element.className = kind;
    element.textContent = text;
    return element;
  };
  const track = part("track");
  track.style.setProperty("--p", p ?? 0);
  track.style.setProperty("--q", q ?? 0);
  track.append(part("p"));
  if (drawn && Math.abs(p - q) > 1e-6) track.append(part("q"));
  row.append(part("name", glyph(name)), track, part("number", percent(p)));
  return row;
}

function describe({ cell, layers, hidden_size, parameters, characters, unit }) {
  const stack = layers > 1 ? ` in ${layers} layers` : "";
  return `${cell}${stack}, ${hidden_size} units, ${parameters.toLocaleString("en")} parameters, ${characters} ${unit}`;
}

function note({ not_shown }) {
  const more = not_shown ? ` ${not_shown} more arrays are not shown.` : "";
  return `Each column is the state in which the character below it was expected.${more}`;
}

function ordinalOf(n) {
  if (n === 2) return "second";
  if (n === 3) return "third";
  const tens = n % 100;
  return `${n}${tens > 10 && tens < 14 ? "th" : ["th", "st", "nd", "rd"][n % 10] ?? "th"}`;
}

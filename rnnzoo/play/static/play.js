// The page: reads the form, asks the server for a text of each run, and shows it as it comes.

import { Run } from "./run.js";

const FIELDS = ["prompt", "temperature", "top_k", "top_p", "length", "seed"];
const MOST_K = 100; // where the slider of top-k ends at the latest; beyond it is "all"
const field = Object.fromEntries(FIELDS.map((name) => [name, document.getElementById(name)]));
const [form, write, stop, status, pace] = ["wish", "write", "stop", "status", "pace"].map((id) => document.getElementById(id));

let runs = [];
let begun = null; // the text that is being written: {abort, open, from}

async function open() {
  const { runs: found, bounds } = await (await fetch("/api/runs")).json();
  runs = found.map((about, i) => {
    const run = new Run(about, select);
    run.element.id = `run-${i}`;
    return run;
  });
  document.getElementById("runs").append(...runs.map((run) => run.element));
  const { sample } = found[0];
  field.top_k.max = Math.min(Math.max(...found.map((run) => run.characters)), MOST_K + 1);
  field.top_k.value = sample.top_k ?? field.top_k.max;
  field.prompt.value = sample.prompt;
  field.length.value = Math.min(sample.length, bounds.length);
  field.length.max = bounds.length;
  for (const name of ["temperature", "top_p", "seed"]) field[name].value = sample[name];
  showValues();
}

function showValues() {
  const show = (name, text) => {
    document.getElementById(`${name}-value`).textContent = text;
    field[name].setAttribute("aria-valuetext", text);
  };
  show("temperature", Number(field.temperature.value).toFixed(2));
  show("top_k", field.top_k.value === field.top_k.max ? "all" : field.top_k.value);
  show("top_p", field.top_p.value === field.top_p.max ? "all" : Number(field.top_p.value).toFixed(2));
}

/** What the form says; a field that holds no number goes as it is, so that the server says so. */
function wish() {
  const number = (name) => (field[name].value === "" ? field[name].value : Number(field[name].value));
  return {
    prompt: field.prompt.value,
    temperature: number("temperature"),
    top_k: field.top_k.value === field.top_k.max ? null : number("top_k"),
    top_p: number("top_p"),
    length: number("length"),
    seed: number("seed"),
  };
}

function begin() {
  end();
  for (const name of FIELDS) complain(name, "");
  runs.forEach((run) => run.clear());
  const abort = new AbortController();
  begun = { abort, open: runs.length, from: performance.now(), shown: 0 };
  const mine = begun;
  stop.disabled = false;
  status.textContent = "Writing …";
  const wanted = wish();
  runs.forEach(async (run, i) => {
    try {
      await receive(run, { run: i, ...wanted }, abort.signal);
    } catch (error) {
      if (error.name !== "AbortError") fail(run, "the server does not answer: is rnnzoo still running?");
    }
    mine.open -= 1;
  });
  requestAnimationFrame(() => tick(mine));
}

async function receive(run, wanted, signal) {
  const headers = { "Content-Type": "application/json" };
  const answer = await fetch("/api/write", { method: "POST", headers, body: JSON.stringify(wanted), signal });
  if (!answer.ok) {
    const { error, field: about } = await answer.json().catch(() => ({ error: `the server answers ${answer.status}` }));
    return fail(run, error, about);
  }
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (let ended = false; ;) {
    const { value, done } = await reader.read();
    if (done) return ended || fail(run, "the text broke off: is rnnzoo still running?");
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines.map((text) => JSON.parse(text))) {
      if (line.characters) run.queue.push(...line.characters);
      if (line.error) fail(run, line.error);
      ended ||= Boolean(line.done || line.error);
    }
  }
}

/** Shows what went wrong in the run's card and, where it is about a field, beside that. */
function fail(run, error, about) {
  run.error.textContent = error;
  if (!FIELDS.includes(about)) return;
  const whose = runs.length > 1 && about === "prompt" ? `${run.about.name}: ` : "";
  complain(about, whose + error);
}

function complain(name, error) {
  const place = document.getElementById(`${name}-error`);
  if (error && place.textContent) return; // the first is enough
  place.textContent = error;
  field[name].setAttribute("aria-invalid", error ? "true" : "false");
}

/** Lets characters appear at the pace that is chosen, in all runs alike. */
function tick(mine) {
  if (begun !== mine) return;
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const perSecond = still ? Infinity : Number(pace.value);
  const now = performance.now();
  mine.shown += ((now - mine.from) / 1000) * perSecond;
  mine.from = now;
  const count = Number.isFinite(mine.shown) ? Math.floor(mine.shown) : Infinity;
  mine.shown = Number.isFinite(mine.shown) ? mine.shown - count : 0;
  for (const run of runs) run.reveal(count === Infinity ? run.queue.length : count);
  if (perSecond < 10) runs.forEach((run) => count && run.characters.length && run.select(run.characters.length - 1));
  if (mine.open || runs.some((run) => run.queue.length)) return requestAnimationFrame(() => tick(mine));
  end();
  const failed = runs.filter((run) => run.error.textContent).length;
  status.textContent = failed === runs.length ? "" : `Written: ${summary()}`;
  const first = runs.find((run) => run.characters.length);
  if (first && runs.every((run) => run.selected === null && !run.text.scrollTop)) {
    select(first, Math.max(0, first.characters.findIndex((c) => c.drawn)));
  }
}

function end() {
  begun?.abort.abort();
  begun = null;
  stop.disabled = true;
}

function summary() {
  const drawn = Math.max(...runs.map((run) => run.characters.filter((c) => c.drawn).length));
  return `${drawn.toLocaleString("en")} characters`;
}

/** Selects a character, in all runs that have read the same text before it. */
function select(chosen, place) {
  const before = (run) => run.characters.slice(0, place).map((c) => c.name).join("\0");
  for (const run of runs) {
    if (run === chosen || (place < run.characters.length && before(run) === before(chosen))) run.select(place);
  }
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  begin();
});
field.prompt.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    begin();
  }
});
for (const name of ["temperature", "top_k", "top_p"]) field[name].addEventListener("input", showValues);
document.getElementById("another").addEventListener("click", () => {
  field.seed.value = Math.floor(Math.random() * 1_000_000);
  begin();
});
stop.addEventListener("click", () => {
  end();
  status.textContent = `Stopped after ${summary()}`;
});
write.disabled = true;
open().then(
  () => (write.disabled = false),
  () => (status.textContent = "The server does not answer: is rnnzoo still running?"),
);

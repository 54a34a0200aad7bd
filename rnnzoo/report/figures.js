"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const all = (selector, inside = document) => [...inside.querySelectorAll(selector)];
const byId = (id) => document.getElementById(id);
const state = { hidden: new Set(), raw: true, log: false };

// ---- themes -------------------------------------------------------------------------------------

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const prefersDark = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (document.documentElement.dataset.theme || (prefersDark.matches ? "dark" : "light")) === "dark";

function themeChanged() {
  byId("theme").textContent = isDark() ? "Light" : "Dark";
  redraw();
  document.dispatchEvent(new Event("theme"));
}
byId("theme").addEventListener("click", () => {
  document.documentElement.dataset.theme = isDark() ? "light" : "dark";
  themeChanged();
});
byId("theme").textContent = isDark() ? "Light" : "Dark";
prefersDark.addEventListener("change", themeChanged);

// ---- figures: drawn when they are first seen ----------------------------------------------------

function layoutOf(figure, spec) {
  const axis = { gridcolor: css("--line"), zerolinecolor: css("--line"), linecolor: css("--quiet") };
  const small = matchMedia("(max-width: 40rem)").matches;
  const layout = {
    ...spec.layout,
    xaxis: { ...axis, ...spec.layout.xaxis },
    yaxis: { ...axis, ...spec.layout.yaxis },
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: css("--ink"), family: "system-ui, sans-serif", size: small ? 11 : 13 },
    margin: { l: 56, r: 12, t: 30, b: 44 }, hovermode: "closest",
    modebar: { bgcolor: "rgba(0,0,0,0)", color: css("--quiet"), activecolor: css("--ink") },
    hoverlabel: { namelength: -1 },
    legend: { orientation: "h", x: 0, y: 0, yref: "container", yanchor: "bottom" },
    uirevision: figure.dataset.figure,
  };
  if (state.log && figure.closest("[data-log]")) layout.yaxis.type = "log";
  return layout;
}

function draw(figure) {
  const spec = data.figures[figure.dataset.figure];
  const traces = spec.data.map((trace) => {
    const meta = trace.meta || {};
    const shown = !(state.hidden.has(meta.run) || (meta.raw && !state.raw));
    return { ...trace, visible: shown };
  });
  const options = { responsive: true, displaylogo: false, modeBarButtonsToRemove: ["lasso2d", "select2d"] };
  figure.drawn = true;
  Plotly.react(figure.querySelector(".plot"), traces, layoutOf(figure, spec), options);
}

const seen = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    if (entry.isIntersecting && !entry.target.drawn) draw(entry.target);
  }
}, { rootMargin: "300px" });
all("figure[data-figure]").forEach((figure) => seen.observe(figure));
const redraw = () => all("figure[data-figure]").forEach((figure) => { if (figure.drawn) draw(figure); });

all("fieldset.runs input").forEach((box) => box.addEventListener("change", () => {
  const run = Number(box.dataset.run);
  if (box.checked) state.hidden.delete(run); else state.hidden.add(run);
  redraw();
}));
for (const name of ["raw", "log"]) {
  byId(name)?.addEventListener("change", (event) => { state[name] = event.target.checked; redraw(); });
}
// Figures of one group take turns, by the words that are picked.
all("form[data-group]").forEach((form) => form.addEventListener("change", () => {
  const choice = all("[data-choice]", form).map((select) => select.value);
  all("figure", byId("group-" + form.dataset.group)).forEach((figure) => {
    figure.hidden = figure.dataset.choice !== choice.join(" ");
    if (!figure.hidden) draw(figure);
  });
}));
all("form").forEach((form) => form.addEventListener("submit", (event) => event.preventDefault()));

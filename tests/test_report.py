"""The report: what it says, its figures, and the page in a browser."""

import json
import math
import re
import shutil

import matplotlib.image
import numpy as np
import pytest

from rnnzoo import config as configs
from rnnzoo import report, session
from rnnzoo.errors import UserError
from rnnzoo.metrics import read_inside
from rnnzoo.report import figures, html, interactive, page, static
from rnnzoo.report.figure import Figure, Line
from rnnzoo.report.material import gather, read_samples

# Its markup would break a page that does not escape it.
TEXT = 'He said: "Come </script><b>in</b>\nnow."\n\n  And so\n  she & he did.\n' * 60


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two runs of one text, in folders of one name."""
    folder = tmp_path_factory.mktemp("report")
    (folder / "text.txt").write_text(TEXT)
    for name, cell, epochs in (("a", "gru", 3), ("b", "elman,lstm", 2)):
        config = configs.default_config()
        config.corpus.path = str(folder / "text.txt")
        config.cell.name, config.cell.hidden_size = cell, 5
        config.train.update({"epochs": epochs, "batch_size": 2, "truncation": 8, "log_every": 1})
        config.train.update({"max_subsequence_length": 64, "evaluate_every": 1})
        config.sample.length = 20
        session.train(config, folder / name / "run")
    return folder


@pytest.fixture(scope="module")
def materials(made):
    return gather([made / "a" / "run", made / "b" / "run"])


@pytest.fixture(scope="module")
def written(made, materials):
    out = made / "out.html"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "gather", lambda folders, cell_modules: materials)
        paths = report.write([made / "a" / "run", made / "b" / "run"], out, made / "figures")
    assert paths[0] == out
    return out, paths[1:]


def test_material_is_what_the_run_left(made, materials):
    a, b = materials
    assert (a.name, b.name) == ("a/run", "b/run")
    assert a.characters == 2 * 64
    assert [row["epoch"] for row in a.rows] == [1, 2, 3]
    seconds = np.cumsum([128 / row["chars_per_second"] for row in a.rows])
    np.testing.assert_allclose(a.seconds, seconds)
    assert a.best == min(a.rows, key=lambda row: row["validation_loss"])
    assert list(a.samples) == list(a.observed) == [1, 2, 3]
    assert a.samples[3] == read_samples(a.run.folder / "samples.txt")[3]
    assert [s["name"] for s in a.observed[3]] == ["h", "r", "z"]
    assert a.look.part == "validation"
    validation = TEXT[-len(TEXT) // 10 :]
    assert "".join(a.look.text) == validation[: len(a.look.text)]
    assert len(a.look.text) == len(a.look.inside.nats) + 1


def test_curves_show_the_rows(materials):
    by_key = {f.key: f for f in figures.all_figures(materials)}
    bits = by_key["curves-seconds-bits"]
    training, validation = (line for line in bits.lines if line.run == 0)
    np.testing.assert_allclose(training.x, materials[0].seconds)
    np.testing.assert_allclose(training.y, [row["bpc"] for row in materials[0].rows])
    np.testing.assert_allclose(validation.y, [row["validation_bpc"] for row in materials[0].rows])
    nats = by_key["curves-characters-nats"].lines[0]
    np.testing.assert_allclose(nats.x, [128, 256, 384])
    np.testing.assert_allclose(nats.y, [row["loss"] for row in materials[0].rows])
    assert f"{materials[0].rows[-1]['bpc']:.3f}" in bits.caption


def test_gates_are_shown_over_training(materials):
    found = {f.key: f for f in figures.gates(materials)}
    assert set(found) == {
        "gates-a_run", "gate-a_run-1-r", "gate-a_run-1-z",
        "gates-b_run", "gate-b_run-2-f", "gate-b_run-2-i", "gate-b_run-2-o",
    }  # fmt: skip
    heat = found["gate-a_run-1-r"]
    assert heat.x == [1, 2, 3]
    np.testing.assert_allclose(heat.values.sum(axis=0), 1)
    counts = materials[0].observed[2][1]["counts"]
    np.testing.assert_allclose(heat.values[:, 1], np.array(counts) / sum(counts))


def test_many_rows_are_thinned_and_smoothed(materials):
    a = materials[0]
    row = {"bpc": 1.0, "chars_per_second": 1.0}
    rows = [{"epoch": e, "loss": 1 + e % 2, **row} for e in range(1, 2001)]
    figure = next(iter(figures.curves([a._replace(rows=rows, characters=None)])))
    raw, smooth = figure.lines
    assert raw.style == "faint" and len(raw.x) <= figures.MOST_POINTS
    np.testing.assert_allclose(smooth.y[5:-5], 1.5 / math.log(2), rtol=0.03)
    values = np.arange(10.0)
    np.testing.assert_allclose(figures.smooth(values, 3)[1:-1], values[1:-1])
    np.testing.assert_allclose(figures.smooth(values, 1), values)


def test_seeds_have_a_band(materials):
    rows = [{**row, "loss_spread": 0.5} for row in materials[0].rows]
    line = next(iter(figures.curves([materials[0]._replace(rows=rows)]))).lines[0]
    np.testing.assert_allclose(np.subtract(line.high, line.low), 1 / math.log(2))


def test_every_figure_is_drawn_and_written(materials, written):
    _, paths = written
    found = figures.all_figures(materials)
    keys = {f.key for f in found} | {"text-a_run", "text-b_run"}
    assert {p.name for p in paths} == {f"{key}.{e}" for key in keys for e in ("png", "svg")}
    for path in paths:
        if path.suffix == ".png":
            assert matplotlib.image.imread(path).std() > 0.01  # not blank
    for figure in found:
        spec = json.loads(json.dumps(interactive.spec(figure), allow_nan=False))
        assert all(len(t["x"]) for t in spec["data"])
        head, rows = interactive.table(figure)
        assert all(len(row) == len(head) for row in rows)
    assert static.edges([1, 2, 4]).tolist() == [0.5, 1.5, 3, 5]


@pytest.mark.parametrize("count", [static.MANY, len(static.PALETTE) + 1])
def test_points_can_be_told_apart(count):
    points = [Line(str(i), i, [i + 1], [i + 1], style="points") for i in range(count)]
    figure = Figure("key", "title", "caption", "x", "y", points)
    canvas = static.draw(figure)
    drawn = {(line.get_color(), line.get_marker()) for line in canvas.axes[0].get_lines()}
    traces = interactive.spec(figure)["data"]
    shown = {(trace["marker"]["color"], trace["marker"]["symbol"]) for trace in traces}
    assert len(drawn) == len(shown) == count
    assert len(canvas.legends) == (count > static.MANY)  # beside the figure, not over its points


def test_the_page_holds_everything(materials, written):
    text = written[0].read_text("utf-8")
    markup = re.sub(r"<script.*?</script>", "", text, flags=re.S)
    assert not re.search(r'(src|href)="?(https?:)?//|url\(', markup)
    data = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)[1]
    data = json.loads(data)
    assert "".join(data["texts"][0]["characters"]) == "".join(materials[0].look.text)
    assert [run["name"] for run in data["samples"]] == ["a/run", "b/run"]
    assert f"{materials[1].parameters:,}" in text
    keys = dict(page.differences(materials))
    assert keys["cell.name"] == ["'gru'", "'elman,lstm'"] and set(keys) == {
        "cell.name",
        "train.epochs",
    }


def test_a_run_whose_text_is_gone_still_has_its_curves(made, tmp_path):
    shutil.copytree(made / "a" / "run", tmp_path / "run")
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    config["corpus"]["path"] = "gone.txt"
    (tmp_path / "run" / "config.json").write_text(json.dumps(config))
    (material,) = gather([tmp_path / "run"])
    assert material.look is None and "gone.txt" in material.problem
    keys = [f.key for f in figures.all_figures([material])]
    assert "curves-epochs-bits" in keys and "gates-run" in keys and "gradients" not in keys
    assert "gone.txt" in page.render([material], figures.all_figures([material]))


def test_mistakes(made, tmp_path, monkeypatch):
    run = made / "a" / "run"
    with pytest.raises(UserError, match="a report needs runs"):
        report.write([])
    with pytest.raises(UserError, match="named twice"):
        report.write([run, run / ".." / "run"], tmp_path / "r.html")
    with pytest.raises(UserError, match="holds no run"):
        report.write([tmp_path], tmp_path / "r.html")
    with pytest.raises(UserError, match="cannot be written"):
        report.write([run], tmp_path / "no" / "r.html")
    assert not (tmp_path / "r.html").exists()
    monkeypatch.setattr(html.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'rnnzoo\[report\]'"):
        report.write([run], tmp_path / "r.html")


def test_what_was_seen_is_cut_back_with_the_rest(made, tmp_path):
    """inside.jsonl goes with the other files that grow when a run goes on from a checkpoint."""
    shutil.copytree(made / "a" / "run", tmp_path / "run")
    before = read_inside(tmp_path / "run")
    with (tmp_path / "run" / "inside.jsonl").open("a") as file:
        file.write('{"epoch": 99, "signals": []}\n')
    session.train(configs.load(str(tmp_path / "run" / "config.json")), tmp_path / "run")
    assert read_inside(tmp_path / "run") == before
    (tmp_path / "run" / "inside.jsonl").write_text("{\n")
    with pytest.raises(UserError, match=r"inside\.jsonl' is damaged"):
        gather([tmp_path / "run"])


# ---- in a browser ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def opened(browser, written):
    """The page in Chromium, with all that it printed and asked for."""
    tab = browser.new_context(viewport={"width": 1200, "height": 900}).new_page()
    heard = []
    tab.on("console", lambda message: heard.append(message.text))
    tab.on("pageerror", lambda error: heard.append(str(error)))
    tab.on("request", lambda request: heard.append(request.url))
    tab.goto(written[0].as_uri())
    return tab, heard


def until(tab, condition):
    """Waits for a condition, which the page's own policy would not let Playwright wait for."""
    for _ in range(100):
        if tab.evaluate(condition):
            return
        tab.wait_for_timeout(50)
    pytest.fail(f"never: {condition}")


def colors(tab):
    return tab.eval_on_selector_all(
        "#reader-text span", "spans => spans.map(s => s.style.backgroundColor)"
    )


def test_the_page_opens_without_a_word_and_without_a_request(opened, written):
    tab, heard = opened
    for _ in range(20):
        tab.mouse.wheel(0, 600)
        tab.wait_for_timeout(50)
    until(tab, "document.querySelectorAll('.js-plotly-plot').length >= 10")
    assert heard == [written[0].as_uri()]


def test_another_pick_changes_the_colours_of_the_text(opened, materials):
    tab, _ = opened
    text = tab.locator("#reader-text").inner_text().replace("↵", "")
    assert text.strip() == "".join(materials[0].look.text).strip()
    by_loss = colors(tab)
    tab.select_option("#reader-signal", label="layer 1, gate r")
    by_gate = colors(tab)
    tab.fill("#reader-unit", "3")
    other_unit = colors(tab)
    assert by_loss != by_gate != other_unit
    r = next(v for s, v in materials[0].look.inside.signals.items() if s.name == "r")
    tab.focus("#reader-text")
    tab.keyboard.press("ArrowRight")
    tab.keyboard.press("ArrowRight")
    assert f"unit 3: {r[1, 3]:.2f}" in tab.locator("#reader-now").inner_text()
    tab.locator("button.show:visible").last.click()
    assert colors(tab) != other_unit


def test_hiding_a_run_and_changing_axes(opened):
    tab, heard = opened
    drawn = "key => document.querySelector(`figure[data-figure=${key}] .plot`)"
    shown = f"({drawn})('curves-epochs-bits').data.filter(t => t.visible).length"
    tab.evaluate("document.querySelector('#curves').scrollIntoView()")
    until(tab, f"({drawn})('curves-epochs-bits').data !== undefined")
    before = tab.evaluate(shown)
    tab.locator("fieldset.runs input").first.uncheck()
    assert tab.evaluate(shown) == before // 2
    tab.locator("fieldset.runs input").first.check()
    tab.select_option("#curves select >> nth=0", "seconds")
    figure = tab.locator("figure[data-figure=curves-seconds-bits]")
    assert (
        figure.is_visible()
        and not tab.locator("figure[data-figure=curves-epochs-bits]").is_visible()
    )
    assert "seconds of training" in figure.locator(".xtitle").text_content()
    assert len(heard) == 1


def test_samples_mature(opened, materials):
    tab, _ = opened
    card = tab.locator(".sample").first
    assert card.locator("pre").inner_text() == "\n———\n".join(materials[0].samples[3])
    card.locator("input").fill("0")
    assert card.locator("pre").inner_text() == "\n———\n".join(materials[0].samples[1])


def test_dark_and_narrow(opened):
    tab, heard = opened
    light = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    tab.click("#theme")
    assert tab.evaluate("getComputedStyle(document.body).backgroundColor") != light
    tab.set_viewport_size({"width": 390, "height": 800})
    until(tab, "document.documentElement.scrollWidth <= 390")
    assert len(heard) == 1

"""The page in a real browser: what a person sees and presses."""

import contextlib
import re
import shutil
import signal
import subprocess
import sys

import httpx
import pytest

from rnnzoo import main

sync_api = pytest.importorskip("playwright.sync_api")
expect = sync_api.expect
expect.set_options(timeout=20_000)

TEXT = "the cat sat on the mat. " * 40
CONFIG = """
def get_config():
    return {
        "cell": {"name": "gru", "hidden_size": 8},
        "corpus": {"path": "text.txt", "split": (1, 0, 0)},
        "train": {"epochs": 1, "batch_size": 2, "truncation": 8, "max_subsequence_length": 20},
        "sample": {"prompt": "the", "length": 60},
    }
"""


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """Where two runs are played by the real command, which Ctrl-C ends at last."""
    folder = tmp_path_factory.mktemp("play")
    (folder / "text.txt").write_text(TEXT)
    (folder / "tiny.py").write_text(CONFIG)
    with contextlib.chdir(folder):
        main.main(main.parse(["rnnzoo", "--config=tiny.py", "--workdir=runs/a"]))
    shutil.copytree(folder / "runs/a", folder / "runs/b")
    line = [sys.executable, "-m", "rnnzoo.main", "play", "runs/a", "runs/b", "--port=0"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(line, cwd=folder, **pipes) as server:
        try:
            yield re.match(r"http://127\.0\.0\.1:\d+", server.stdout.readline())[0]
        finally:
            server.send_signal(signal.SIGINT)
            _, errors = server.communicate(timeout=30)
        assert (server.returncode, errors) == (130, "rnnzoo: stopped\n")


@pytest.fixture
def page(browser, address):
    """The page, which asks nothing of another host, and complains of nothing."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(20_000)
    wrong = []
    page.on("pageerror", lambda error: wrong.append(f"{error}"))
    page.on("console", lambda said: wrong.append(said.text) if said.type != "log" else None)
    page.on("request", lambda r: None if r.url.startswith(address) else wrong.append(r.url))
    page.goto(address)
    expect(page.locator("#write")).to_be_enabled()
    yield page
    page.close()
    assert not [w for w in wrong if "status of 400" not in w]  # the browser's line for bad input


def write(page, pace="Infinity"):
    page.select_option("#pace", pace)
    page.click("#write")
    expect(page.locator("#status")).to_contain_text("Written: 60 characters")
    return texts(page)


def texts(page):
    return [text.text_content() for text in page.locator(".text").all()]


def test_characters_stream_in_and_are_explained(page, address):
    page.fill("#prompt", "the cat")
    page.select_option("#pace", "5")
    page.click("#write")
    first = page.locator("#run-0 .text")
    expect(first.locator("span").nth(9)).to_be_visible()
    assert 9 < first.locator("span").count() < 60  # while others are still to come
    both = write(page)
    options = {"temperature": 0.7, "length": 60, "seed": 0}
    answer = httpx.post(
        f"{address}/api/write", json={"prompt": "the cat", **options}, trust_env=False
    )
    assert both == ["".join(re.findall(r'"text":"(.)"', answer.text))] * 2

    page.hover("#run-0 .text [data-place='9']")
    character = both[0][9].replace(" ", "␣")
    expect(page.locator("#run-0 .glyph")).to_have_text(character)
    expect(page.locator("#run-0 .said")).to_contain_text("% probable")
    bars = page.locator("#run-0 .bars li")
    assert bars.count() in (8, 9)
    expect(page.locator("#run-0 .bars .chosen .name")).to_have_text(character)
    numbers = [
        float(x.strip(" %")) for x in page.locator("#run-0 .bars .number").all_text_contents()
    ]
    assert numbers[:8] == sorted(numbers[:8], reverse=True) and 0 < sum(numbers) <= 101
    page.hover("#run-0 .text [data-place='0']")
    expect(page.locator("#run-0 .said")).to_contain_text("nothing was expected before it")


def test_the_heat_map_follows_and_says_its_numbers(page):
    write(page)
    page.hover("#run-0 .text [data-place='5']")
    canvas = page.locator("#run-0 canvas")
    canvas.hover(position={"x": 14 * 7 + 5, "y": 60})
    reading = page.locator("#run-0 .reading")
    expect(reading).to_have_text(re.compile(r"^state \(the output\), number \d, before “.”: −?\d"))
    expect(page.locator("#run-0 .selected")).to_have_attribute(
        "data-place", "8"
    )  # one is unexpected
    colours = canvas.evaluate(
        "c => new Set(new Uint32Array("
        "c.getContext('2d').getImageData(0, 30, 300, 100).data.buffer)).size"
    )
    assert colours > 30
    canvas.focus()
    before = reading.text_content()
    page.keyboard.press("ArrowDown")
    expect(reading).not_to_have_text(before)
    page.keyboard.press("ArrowRight")
    expect(page.locator("#run-0 .selected")).to_have_attribute("data-place", "9")


def test_the_keyboard_goes_through_the_text_of_both_runs(page):
    page.locator("#prompt").focus()
    page.keyboard.press("Control+Enter")
    expect(page.locator("#status")).to_contain_text("Written")
    text = page.locator("#run-0 .text")
    text.focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    for run in ("#run-0", "#run-1"):  # which have read the same until there
        expect(page.locator(f"{run} .selected")).to_have_attribute("data-place", "1")
    expect(text).to_have_attribute("aria-activedescendant", "run-0-1")
    expect(page.locator("#run-0-1")).to_have_attribute("aria-label", re.compile(r"h, [\d.]+ %"))
    page.keyboard.press("End")
    expect(page.locator("#run-0 .selected")).to_have_attribute("data-place", "62")
    focused = []
    page.locator("#prompt").focus()
    for _ in range(9):
        page.keyboard.press("Tab")
        focused.append(page.evaluate("() => document.activeElement.id"))
    assert focused[:8] == [
        "temperature", "top_k", "top_p", "length", "seed", "another", "pace", "write"
    ]  # fmt: skip


def test_temperature_0_repeats_exactly(page):
    page.focus("#temperature")
    page.keyboard.press("Home")
    expect(page.locator("#temperature-value")).to_have_text("0.00")
    once = write(page)
    page.fill("#seed", "7")
    assert write(page) == once
    page.focus("#temperature")
    page.keyboard.press("End")
    hot = write(page)
    page.fill("#seed", "8")
    assert write(page) != hot != once


def test_bad_input_is_told_beside_its_field(page):
    page.fill("#prompt", "the Zoo")
    page.click("#write")
    error = page.locator("#prompt-error")
    expect(error).to_contain_text("character 'Z' (U+005A) at index 4 is not in the vocabulary")
    expect(page.locator("#prompt")).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#run-1 > .error")).to_contain_text("character 'Z'")
    page.fill("#prompt", "the")
    page.fill("#length", "3000")
    page.click("#write")
    expect(page.locator("#length-error")).to_contain_text("length must be from 1 to 2,000")
    expect(error).to_be_empty()
    page.fill("#length", "60")
    write(page)
    expect(page.locator("#length-error")).to_be_empty()


def test_stop_stops(page):
    page.select_option("#pace", "5")
    page.click("#write")
    expect(page.locator("#run-0 .text span").nth(4)).to_be_visible()
    page.click("#stop")
    expect(page.locator("#status")).to_contain_text("Stopped after")
    expect(page.locator("#stop")).to_be_disabled()
    count = page.locator("#run-0 .text span").count()
    page.wait_for_timeout(500)
    assert page.locator("#run-0 .text span").count() == count < 60


CONTRAST = """([selector, background]) => {
  const pen = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const light = (colour) => {
    pen.fillStyle = colour;
    pen.fillRect(0, 0, 1, 1);
    const [r, g, b] = [...pen.getImageData(0, 0, 1, 1).data].map((v) => {
      v /= 255;
      return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const style = (s) => getComputedStyle(document.querySelector(s));
  const own = style(selector).backgroundColor;
  const behind = own === "rgba(0, 0, 0, 0)" ? style(background).backgroundColor : own;
  const [a, b] = [light(style(selector).color), light(behind)].sort();
  return [(b + 0.05) / (a + 0.05), b];
}"""


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_all_is_legible_on_a_phone_too(page, colours):
    page.emulate_media(color_scheme=colours)
    write(page)
    seen = [page.evaluate(CONTRAST, [f".legend .s{i}", "body"])[0] for i in range(6)]
    seen += [page.evaluate(CONTRAST, [s, "body"])[0] for s in (".hint", "#status", "header.page p")]
    seen += [page.evaluate(CONTRAST, [s, ".run"])[0] for s in (".about", ".said", ".bars .number")]
    seen += [page.evaluate(CONTRAST, ["#write", "body"])[0]]
    assert min(seen) >= 4.5
    for width in (360, 1280):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width

"""Makes the pictures of docs/play.md, in a headless Chromium.

python docs/pictures/play.py runs/pydoc-gru
"""

import pathlib
import shutil
import subprocess
import sys

from playwright.sync_api import Page, Playwright, expect, sync_playwright

FOLDER = pathlib.Path(__file__).parent
PROMPT, SEED = "The class ", "3"
VIEWS = {"play": "light", "play-dark": "dark"}
SIZE = {"width": 1280, "height": 900}


def main(folders: list[str]) -> None:
    """Serves the runs, and takes a picture of each view."""
    line = [sys.executable, "-m", "rnnzoo.main", "play", *folders, "--port=0"]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as server:
        try:
            with sync_playwright() as p:
                take(p, server.stdout.readline().split()[0])
        finally:
            server.terminate()


def take(p: Playwright, address: str) -> None:
    """Takes the pictures of the page at an address."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    browser = p.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
    for name, colours in VIEWS.items():
        page = browser.new_page(viewport=SIZE, color_scheme=colours)
        write(page, address)
        page.screenshot(path=FOLDER / f"{name}.png", full_page=True)
    browser.close()


def write(page: Page, address: str) -> None:
    """Writes a text, and points at a character of it."""
    page.goto(address)
    page.fill("#prompt", PROMPT)
    page.fill("#seed", SEED)
    page.select_option("#pace", "Infinity")
    page.click("#write")
    expect(page.locator("#status")).to_contain_text("Written")
    page.hover(".text [data-place='19']")


if __name__ == "__main__":
    main(sys.argv[1:])

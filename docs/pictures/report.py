"""Makes the pictures of docs/report.md, in a headless Chromium.

python docs/pictures/report.py runs/elman runs/stacked_elman runs/gru runs/lstm
"""

import pathlib
import shutil
import sys
import tempfile

from playwright.sync_api import Page, sync_playwright

from rnnzoo import report

FOLDER = pathlib.Path(__file__).parent
SIZE = {"width": 1280, "height": 900}
FIGURES = {"curves": "curves-epochs-bits"} | {n: n for n in ("gradients", "reset", "spectrum")}


def main(runs: list[str]) -> None:
    """Writes the report of the runs, and takes its pictures."""
    with tempfile.TemporaryDirectory() as folder:
        page, *_ = report.write(runs, f"{folder}/report.html", folder)
        for name, figure in FIGURES.items():
            shutil.copy(f"{folder}/{figure}.png", FOLDER / f"report-{name}.png")
        chromium = shutil.which("chromium") or shutil.which("google-chrome")
        with sync_playwright() as p:
            browser = p.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            tab = browser.new_page(viewport=SIZE, color_scheme="light")
            tab.goto(page.as_uri())
            take(tab)
            dark = browser.new_page(viewport=SIZE, color_scheme="dark")
            dark.goto(page.as_uri())
            dark.evaluate("document.querySelector('#gates').scrollIntoView()")
            dark.wait_for_timeout(2000)
            dark.screenshot(path=FOLDER / "report-gates.png")
            browser.close()


def take(tab: Page) -> None:
    """The first screen; and the text coloured by the unit that tells quotations best."""
    tab.wait_for_timeout(2000)
    tab.screenshot(path=FOLDER / "report.png")
    last = tab.locator("#text details").last
    last.locator("summary").click()
    last.locator("button.show").first.click()
    tab.locator("#reader-text span").nth(200).hover()
    tab.screenshot(path=FOLDER / "report-text.png")


if __name__ == "__main__":
    main(sys.argv[1:])

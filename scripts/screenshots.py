"""Pictures of a report's sections, as docs/report has them: python scripts/screenshots.py REPORT.html FOLDER.

Needs selenium, Debian's chromium and chromium-driver, and Pillow.
"""

from __future__ import annotations

import argparse
import base64
import io
import time
from pathlib import Path

from PIL import Image
from selenium import webdriver

SECTIONS = "return [...document.querySelectorAll('section')].map((one) => one.id)"
BOX = "const {y, height} = document.getElementById(arguments[0]).getBoundingClientRect(); return [y + scrollY, height]"
MARGIN = 176  # the list of sections at the left


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("report", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sections", nargs="*", help="default: all")
    parser.add_argument("--theme", choices=("light", "dark"), default="light")
    parser.add_argument("--width", type=int, default=1240)
    parser.add_argument("--most", type=int, default=1200, help="pixels of a picture's height (default: 1200)")
    options = parser.parse_args()
    chrome = webdriver.ChromeOptions()
    chrome.binary_location = "/usr/bin/chromium"
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        f"--window-size={options.width},1000",
    ):
        chrome.add_argument(argument)
    browser = webdriver.Chrome(options=chrome, service=webdriver.ChromeService("/usr/bin/chromedriver"))
    scheme = {"name": "prefers-color-scheme", "value": options.theme}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    browser.get(options.report.resolve().as_uri())
    every = browser.execute_script(SECTIONS)
    for _ in range(2):  # what is drawn when it is seen moves what is below
        for name in every:
            browser.execute_script("document.getElementById(arguments[0]).scrollIntoView()", name)
            time.sleep(0.8)
    options.folder.mkdir(exist_ok=True)
    for name in options.sections or every:
        top, height = browser.execute_script(BOX, name)
        clip = {"x": MARGIN, "y": top, "width": options.width - MARGIN, "height": min(height, options.most)}
        asked = {"captureBeyondViewport": True, "clip": {**clip, "scale": 1}}
        data = browser.execute_cdp_cmd("Page.captureScreenshot", asked)["data"]
        picture = Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")
        last = "-dark" if options.theme == "dark" else ""
        picture.quantize(128).save(options.folder / f"{name}{last}.png", optimize=True)
    browser.quit()


if __name__ == "__main__":
    main()

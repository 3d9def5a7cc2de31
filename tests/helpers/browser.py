"""A headless Chromium for the tests of pages, and what a person does there."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

AXE = Path(__file__).parents[2] / "build/axe/package/axe.min.js"
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")

HOSTILE = ["</script><script>document.title='broken'</script>", "a\nb\x1b[31mred", "<img src=x onerror=alert(2)>"]


def browse() -> Any:
    """A headless Chromium."""
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ("--headless=new", "--disable-dev-shm-usage", "--disable-gpu", "--window-size=1300,1000"):
        options.add_argument(argument)
    if os.geteuid() == 0:
        options.add_argument("--no-sandbox")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))


def until(condition: Any, seconds: float = 10) -> Any:
    """What the condition gives once it is true."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.03)
    return found


def text(page: Any, selector: str) -> str:
    found: str = page.execute_script(f"return document.querySelector({selector!r}).textContent")
    return found


def pick(page: Any, selector: str, value: str) -> None:
    """Choose of a list, or move a slider, as a person would."""
    page.execute_script(
        f"const one = document.querySelector({selector!r}); one.value = {value!r};"
        "one.dispatchEvent(new Event('input')); one.dispatchEvent(new Event('change'));"
    )


def press(page: Any, selector: str) -> None:
    page.execute_script(f"document.querySelector({selector!r}).click()")


def keys(page: Any, selector: str, *names: str) -> None:
    page.execute_script(f"document.querySelector({selector!r}).focus()")
    for name in names:
        page.switch_to.active_element.send_keys(name)

"""The explorer in headless Chromium: addresses follow what is done, no error goes to the console, Ctrl-C ends it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from browser import AXE, CHROMIUM, DRIVER, HOSTILE, browse, keys, pick, press, text, until
from made_results import KINDS, made_result, stored

for needed in ("duckdb", "starlette", "uvicorn"):
    pytest.importorskip(needed)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None or DRIVER is None, reason="no chromium and chromedriver on this machine"),
]
PAGES = (
    "overview", "verdicts", "matrix", "pair", "pairs", "graph", "map", "adapters", "adapter", "tables", "answers",
    "sql", "methods",
)  # fmt: skip


@pytest.fixture(scope="module")
def command(tmp_path_factory) -> Iterator[tuple[subprocess.Popen[str], str, Path]]:
    """The command itself on 8 adapters: the process, the address that it prints, the file of saved queries."""
    folder = tmp_path_factory.mktemp("explore")
    names = [*HOSTILE, *(f"author/task{i}" for i in range(5))]
    path = stored(folder / "made.zarr", made_result(8, kinds=KINDS, names=names))
    labels = folder / "labels.csv"
    labels.write_text("adapter,task,score\n" + "".join(f"author/task{i},t{i % 2},{i}.5\n" for i in range(5)))
    saved = folder / "saved.json"
    arguments = ["explore", str(path), "--no-browser", "--labels", str(labels), "--saved", str(saved)]
    command = [sys.executable, "-m", "taskvec", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process, process.stdout.readline().strip(), saved
        process.kill()


@pytest.fixture(scope="module")
def page(command) -> Iterator[Any]:
    browser = browse()
    browser.get(command[1])
    ready(browser)
    yield browser
    browser.quit()


def ready(page: Any) -> None:
    until(
        lambda: page.execute_script(
            "return document.documentElement.dataset.ready && !document.body.innerText.includes('asks again')"
        )
    )


def go(page: Any, address: str) -> None:
    origin = page.execute_script("return location.origin")
    page.get(f"{origin}/{address}")
    ready(page)


def address(page: Any) -> str:
    found: str = page.execute_script("return location.pathname + location.search")
    return found


def follow(page: Any, action: Any) -> str:
    """The address after an action that leads to another page."""
    before = page.execute_script("document.documentElement.dataset.old = '1'; return location.href")
    action()
    until(lambda: not page.execute_script("return document.documentElement.dataset.old"))
    ready(page)
    assert page.execute_script("return location.href") != before
    return address(page)


@pytest.mark.parametrize("name", PAGES)
def test_every_page_draws(name: str, page) -> None:
    go(page, name)
    assert [line for line in page.get_log("browser") if line["level"] in ("SEVERE", "WARNING")] == []
    assert page.execute_script("return document.querySelectorAll('main img').length") == 0
    assert "\x1b" not in text(page, "main") and "token" not in address(page)
    assert len(text(page, "main")) > 40
    if AXE.exists():
        page.execute_script(AXE.read_text())
        script = "const done = arguments[0]; axe.run().then((found) => done(found.violations))"
        violations = page.execute_async_script(script)
        serious = [
            (one["id"], one["nodes"][0]["html"]) for one in violations if one["impact"] in ("serious", "critical")
        ]
        assert serious == []


def test_facets_and_sorting_go_into_the_address(page) -> None:
    go(page, "pairs")
    assert follow(page, lambda: pick(page, "#field-captured", "0.3")) == "/pairs?captured=0.3"
    shown = page.execute_script("return document.querySelectorAll('tbody tr').length")
    assert shown == 6
    assert "order=rec" in follow(page, lambda: press(page, "[aria-label='sort by rec']"))
    assert page.execute_script("return document.querySelector('[aria-sort]').textContent").startswith("rec")
    assert follow(page, lambda: press(page, "tbody .link")).startswith("/pair?")


def test_the_matrix_opens_a_pair_by_keys(page) -> None:
    go(page, "matrix")
    before = page.execute_script("return document.querySelector('#matrix canvas').toDataURL()")
    assert "metric=cosine" in follow(page, lambda: pick(page, "#field-metric", "cosine"))
    assert page.execute_script("return document.querySelector('#matrix canvas').toDataURL()") != before
    found = follow(page, lambda: keys(page, "#matrix .cells", "\ue014", "\ue007"))
    assert found.startswith("/pair?source=") and "→" in text(page, "#pair h3")
    pick(page, "#pair-metric", "rec")
    assert "metric=rec" in address(page)
    page.refresh()
    ready(page)
    assert page.execute_script("return document.querySelector('#pair-metric').value") == "rec"


def test_the_graph_and_the_map_open_adapters(page) -> None:
    for name, selector in (("graph", ".nodes g"), ("map", ".point")):
        go(page, name)
        assert follow(page, lambda one=selector: keys(page, one, "\ue007")).startswith("/adapter?name=")


def test_views_are_kept(page, command) -> None:
    go(page, "pairs?captured=0.3")
    pick(page, "#saved-name", "<i>strong</i>")
    press(page, "#keep")
    until(lambda: "<i>strong</i>" in text(page, "#nav"))
    assert json.loads(command[2].read_text())["queries"] == [{"name": "<i>strong</i>", "address": "pairs?captured=0.3"}]
    go(page, "overview")
    assert follow(page, lambda: press(page, ".saved a")) == "/pairs?captured=0.3"
    press(page, ".saved button")
    until(lambda: "<i>strong</i>" not in text(page, "#nav"))
    assert json.loads(command[2].read_text())["queries"] == []


def test_sql_is_asked(page) -> None:
    go(page, "sql")
    pick(page, "#field-query", "SELECT 40 + 2 AS answer")
    assert follow(page, lambda: press(page, "#run-sql")).startswith("/sql?query=SELECT")
    assert text(page, "tbody").strip() == "42"
    go(page, "sql?query=DROP+TABLE+pair_rows")
    assert "only one SELECT" in text(page, "[role=alert]")


def test_colours_stay_from_page_to_page(page) -> None:
    go(page, "overview")
    pick(page, "#theme-choice", "dark")
    go(page, "verdicts")
    assert page.execute_script("return document.documentElement.dataset.theme") == "dark"
    pick(page, "#theme-choice", "auto")


def test_ctrl_c_ends_it(command, page) -> None:
    process = command[0]
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode in (0, 130)
    assert "Traceback" not in err and "".join(err.splitlines()[1:]) in ("", "taskvec: interrupted")

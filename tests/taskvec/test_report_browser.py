"""The report in headless Chromium: each control does what it says, no error goes to the console, axe-core is content.

Needs Debian's chromium and chromium-driver, and selenium; axe-core by `make axe`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from browser import AXE, CHROMIUM, DRIVER, HOSTILE, browse, keys, pick, press, text, until
from made_results import KINDS, made_result, stored
from taskvec.reports.html.report import report

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None or DRIVER is None, reason="no chromium and chromedriver on this machine"),
]


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Iterator[Any]:
    """A report of 8 adapters, opened."""
    folder = tmp_path_factory.mktemp("browser")
    names = [*HOSTILE, *(f"author/task{i}" for i in range(5))]
    path = stored(folder / "made.zarr", made_result(8, kinds=KINDS, names=names, lams=(0.0, 0.001)))
    labels = folder / "labels.csv"
    labels.write_text("adapter,task,score\n" + "".join(f"author/task{i},t{i % 2},{i}.5\n" for i in range(5)))
    answers = folder / "answers.jsonl"
    answers.write_text('{"adapter": "author/task0", "prompt": "<b>p</b>", "base": "", "answer": "a\\nb"}\n')
    out = report(path, folder / "report.html", labels=labels, answers=answers)
    browser = opened(out)
    yield browser
    browser.quit()


def opened(path: Path) -> Any:
    """One that shows the file and has drawn every section."""
    browser = browse()
    browser.get(path.as_uri())
    until(lambda: browser.execute_script("return document.documentElement.dataset.ready"))
    # what is copied is read here
    browser.execute_script(
        "window.copied = null; Object.defineProperty(navigator, 'clipboard',"
        " {value: {writeText: async (text) => { window.copied = text; }}})"
    )
    for identity in browser.execute_script("return [...document.querySelectorAll('section')].map((one) => one.id)"):
        browser.execute_script(f"document.querySelector('#{identity}').scrollIntoView()")
        until(
            lambda one=identity: browser.execute_script(
                f"return document.querySelector('#{one} .body').children.length"
            )
        )
    return browser


def picture(page: Any) -> str:
    found: str = page.execute_script("return document.querySelector('#matrix canvas').toDataURL()")
    return found


def test_no_console_error_and_no_name_is_obeyed(page) -> None:
    assert [line for line in page.get_log("browser") if line["level"] in ("SEVERE", "WARNING")] == []
    assert page.title.startswith("Which task")
    assert page.execute_script("return document.querySelectorAll('main img').length") == 0
    assert "\x1b" not in text(page, "main")
    assert HOSTILE[2] in text(page, "#adapters")


def test_verdicts_are_filtered(page) -> None:
    whole = page.execute_script("return document.querySelectorAll('.verdicts li').length")
    pick(page, "#verdict-words", "task4")
    some = page.execute_script("return document.querySelectorAll('.verdicts li').length")
    assert 0 < some < whole
    pick(page, "#verdict-words", "")
    press(page, ".verdicts .link")
    assert "→" in text(page, "#pair h3")


def test_the_matrix_changes_with_its_controls(page) -> None:
    pictures = {picture(page)}
    for metric in ("above_chance", "cosine", "asymmetry", "rec", "captured"):
        pick(page, "#matrix-metric", metric)
        pictures.add(picture(page))
    assert len(pictures) == 5
    for selector, value in (("#matrix-kind", "k_proj"), ("#matrix-from", "3"), ("#matrix-captured", "0.5")):
        before = picture(page)
        pick(page, selector, value)
        until(lambda then=before: picture(page) != then)
    assert "3 modules of 18" in text(page, "#matrix [role=status]")


def test_the_matrix_is_read_and_opened_by_keys(page) -> None:
    keys(page, "#matrix .cells", "", "")
    first = text(page, "#live")
    assert "→" in first
    keys(page, "#matrix .cells", "\ue014")
    assert text(page, "#live") != first
    keys(page, "#matrix .cells", "\ue007")
    opened_pair = text(page, "#pair h3")
    assert page.execute_script("return location.hash").startswith("#pair=")
    assert opened_pair.split(" → ")[0] in text(page, "#pair .sentence")


def test_the_pair_follows_its_controls(page) -> None:
    before = text(page, "#pair h3")
    press(page, "#pair-turn")
    assert text(page, "#pair h3") == " → ".join(reversed(before.split(" → ")))
    pick(page, "#pair-source", "7")
    assert text(page, "#pair h3").startswith("author/task4 →")
    pick(page, "#pair-metric", "rec")
    assert "chance ± sd" in text(page, "#pair .charts")
    pick(page, "#pair-layer", "4")
    assert "layers.1" in text(page, "#pair .controls + .chart figcaption")


def test_a_table_sorts_and_copies(page) -> None:
    table = "#pair figure.table:last-of-type"
    press(page, f"{table} thead th:nth-child(2) button")
    assert (
        page.execute_script(f"return document.querySelector('{table} th[aria-sort]').getAttribute('aria-sort')")
        == "descending"
    )
    column = page.execute_script(
        f"return [...document.querySelectorAll('{table} tbody tr')].map((row) => parseFloat(row.cells[1].textContent))"
    )
    assert column == sorted(column, reverse=True)
    press(page, f"{table} .copy-csv")
    copied = page.execute_script("return window.copied")
    assert copied.splitlines()[0].startswith("module,captured,")
    assert len(copied.splitlines()) == 1 + len(column)
    press(page, "#tables .copy-latex")
    assert "\\begin{tabular}{lr" in page.execute_script("return window.copied")


def test_the_papers_tables_are_there(page) -> None:
    titles = text(page, "#tables")
    for number in (3, 4, 5, 6, 7):
        assert f"Table {number}:" in titles


def test_the_graph_follows_its_sliders(page) -> None:
    def edges() -> int:
        found: int = page.execute_script("return document.querySelectorAll('#graph .edges path').length")
        return found

    pick(page, "#graph-captured", "0.005")
    many = until(lambda: edges() > 5 and edges())
    press(page, "#graph-fold")
    assert edges() > many
    pick(page, "#graph-captured", "1")
    until(lambda: edges() == 0)
    assert "No pair passes" in text(page, "#graph")


def test_the_map_is_coloured_and_walked(page) -> None:
    pick(page, "#map-label", "")
    plain = page.execute_script(
        "return new Set([...document.querySelectorAll('.point')].map((p) => p.getAttribute('fill'))).size"
    )
    pick(page, "#map-label", "task")
    assert (
        page.execute_script(
            "return new Set([...document.querySelectorAll('.point')].map((p) => p.getAttribute('fill'))).size"
        )
        > plain
    )
    keys(page, ".point[tabindex='0']")
    name = page.switch_to.active_element.get_attribute("aria-label")
    for key in ("\ue014", "\ue012", "\ue013", "\ue015"):
        page.switch_to.active_element.send_keys(key)
    assert page.switch_to.active_element.get_attribute("class") == "point"
    assert name
    page.switch_to.active_element.send_keys("\ue007")
    assert page.execute_script("return location.hash").startswith("#adapter=")


def test_adapters_answers_and_methods(page) -> None:
    pick(page, "#adapter-name", "5")
    assert text(page, "#adapters h3") == "author/task2"
    assert "<b>p</b>" in text(page, "#answers")
    press(page, "#copy-bibtex")
    assert page.execute_script("return window.copied").startswith("@article")


def test_light_dark_and_print(page) -> None:
    colours = set()
    for theme in ("light", "dark"):
        pick(page, "#theme-choice", theme)
        colours.add(page.execute_script("return getComputedStyle(document.body).backgroundColor"))
    assert len(colours) == 2
    printed = page.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})["data"]
    assert len(printed) > 50_000
    pick(page, "#theme-choice", "auto")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_no_serious_fault(page, theme) -> None:
    if not AXE.is_file():
        pytest.skip("axe-core is not there: make axe")
    pick(page, "#theme-choice", theme)
    page.execute_script(AXE.read_text(encoding="utf-8"))
    found = page.execute_async_script(
        "const done = arguments[arguments.length - 1];"
        "axe.run().then((result) => done(result.violations.map((one) => [one.impact, one.id, one.nodes[0].html])))"
    )
    assert [one for one in found if one[0] in ("serious", "critical")] == []


def test_a_thousand_adapters_open_in_three_seconds(tmp_path) -> None:
    path = stored(tmp_path / "many.zarr", made_result(1000, layers=3, kinds=KINDS[:1]))
    out = report(path, tmp_path / "many.html")
    assert out.stat().st_size < 15 * 10**6
    browser, seconds = opened(out), []
    try:
        assert [line for line in browser.get_log("browser") if line["level"] == "SEVERE"] == []
        for _ in range(3):  # the best of three: other programs run too
            browser.refresh()
            until(lambda: browser.execute_script("return document.documentElement.dataset.ready"))
            seconds.append(browser.execute_script("return performance.getEntriesByName('ready')[0].startTime / 1000"))
        assert min(seconds) < 3
    finally:
        browser.quit()


def test_many_adapters_are_drawn_by_cluster_and_opened(tmp_path, monkeypatch) -> None:
    from taskvec.reports.html import document

    monkeypatch.setattr(document, "BY_CLUSTER", 10)
    monkeypatch.setattr(document, "CLUSTERS", 5)
    out = report(stored(tmp_path / "made.zarr", made_result(20, layers=2)), tmp_path / "report.html")
    browser = opened(out)
    try:
        status = "#matrix [role=status]"
        assert "5 clusters of 20 adapters" in text(browser, status)
        keys(browser, "#matrix .cells", "\ue007")
        assert "4 × 4 adapters" in text(browser, status)
        keys(browser, "#matrix .cells", "\ue014", "\ue007")
        assert browser.execute_script("return location.hash").startswith("#pair=")
        press(browser, "#matrix-back")
        assert "5 clusters" in text(browser, status)
        assert [line for line in browser.get_log("browser") if line["level"] == "SEVERE"] == []
    finally:
        browser.quit()

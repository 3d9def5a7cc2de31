"""Who is let in to ``taskvec explore``, what is kept of it, and what its SQL may do."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import pytest

from explorer import NAMES, TOKEN, Served
from made_results import KINDS, made_result, stored
from taskvec.queries.ranking import ranking


@pytest.fixture(scope="module")
def of_all(tmp_path_factory) -> Iterator[Served]:
    """Of a result that keeps all."""
    folder = tmp_path_factory.mktemp("guarded")
    one = Served(stored(folder / "all.zarr", made_result(len(NAMES), kinds=KINDS, names=NAMES)), folder)
    yield one
    one.close()


# who is let in


def test_the_token_becomes_a_cookie(of_all: Served) -> None:
    code, headers, _ = of_all.ask(f"/pairs?captured=0.5&token={TOKEN}", Authorization="")
    assert code == 303 and headers["Location"] == "/pairs?captured=0.5"
    cookie = headers["Set-Cookie"]
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie
    code, _, _ = of_all.ask("/pairs?captured=0.5", Authorization="", Cookie=cookie.split(";")[0])
    assert code == 200


@pytest.mark.parametrize("address", ["/overview", "/overview.json", "/names", "/static/x/script.js", "/?token=wrong"])
def test_nobody_else_is_let_in(address: str, of_all: Served) -> None:
    for headers in (
        {"Authorization": ""},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "", "Cookie": "taskvec_1=x"},
    ):
        code, found, text = of_all.ask(address, **headers)
        assert code == 403 and "author" not in text and "Access-Control-Allow-Origin" not in found


def test_only_names_of_this_machine(of_all: Served) -> None:
    for host in ("evil.example", f"evil.example:{of_all.port}", f"127.0.0.1:{of_all.port + 1}", "localhost"):
        assert of_all.ask("/overview", Host=host)[0] == 421
    for host in (f"localhost:{of_all.port}", f"127.0.0.1:{of_all.port}"):
        assert of_all.ask("/overview", Host=host)[0] == 200


def test_an_address_does_not_lead_away(of_all: Served) -> None:
    code, headers, _ = of_all.ask(f"//evil.example/x?token={TOKEN}", Authorization="")
    assert code == 303 and headers["Location"].startswith("/evil.example")


# saved queries


def test_queries_are_kept_and_removed(of_all: Served) -> None:
    origin = {"Origin": f"http://127.0.0.1:{of_all.port}"}
    one = {"name": "<b>near\x1b</b>", "address": "pairs?captured=0.5"}
    assert of_all.ask("/saved", method="POST", body=one)[0] == 403  # no page of ours
    assert of_all.ask("/saved", method="POST", body=one, Origin="http://evil.example")[0] == 403
    assert not of_all.saved.exists()
    assert of_all.ask("/saved", method="POST", body=one, **origin)[0] == 200
    assert of_all.json("overview")["saved"] == [["<b>near\\x1b</b>", "pairs?captured=0.5"]]
    away = {"name": "x", "address": "https://evil.example"}
    assert of_all.ask("/saved", method="POST", body=away, **origin)[0] == 400
    assert of_all.ask("/saved", method="DELETE", body={"name": "<b>near\\x1b</b>"}, **origin)[0] == 200
    assert json.loads(of_all.saved.read_text())["queries"] == []
    of_all.saved.write_text("{")
    document = of_all.json("overview")
    assert "saved queries" in document["saved_error"] and document["pairs_all"] == 132
    assert of_all.ask("/saved", method="POST", body=one, **origin)[0] == 400  # not overwritten
    assert of_all.saved.read_text() == "{"
    of_all.saved.unlink()


# SQL


def test_sql_answers(of_all: Served) -> None:
    query = "SELECT source, count(*) AS n FROM pairs WHERE captured > 0.3 GROUP BY source ORDER BY source"
    answer = of_all.json("sql", query=query)["answer"]
    frame = ranking(of_all.live._dataset)
    counts = frame[frame["captured"] > np.float32(0.3)].groupby("source").size()
    assert [row[1] for row in answer["rows"]] == counts.sort_index().tolist()
    names = of_all.json("sql", query="SELECT adapter FROM adapters ORDER BY place")["answer"]["rows"]
    assert names[1] == ["a\\nb\\x1b[31mred"]
    many = of_all.json("sql", query="SELECT * FROM range(5000)")["answer"]
    assert len(many["rows"]) == 1000 and many["more"]
    assert len(of_all.json("sql", query="FROM adapter_modules")["answer"]["rows"]) == 12 * 18


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM pair_rows",
        "DROP VIEW pairs",
        "CREATE TABLE mine (x INT)",
        "CREATE TEMP TABLE mine (x INT)",
        "WITH gone AS (DELETE FROM pair_rows RETURNING *) SELECT * FROM gone",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM glob('/*')",
        "SELECT * FROM read_csv('https://example.org/x.csv')",
        "COPY pairs TO 'pairs.csv'",
        "ATTACH 'other.db'",
        "INSTALL httpfs",
        "SET enable_external_access = true",
        "SET threads = 64",
        "PRAGMA database_list",
        "EXPLAIN ANALYZE DELETE FROM pair_rows",
        "SELECT 1; DROP TABLE pair_rows",
        "COMMIT",
        "",
        "SELECT 'unfinished",
    ],
)
def test_sql_does_nothing_else(query: str, of_all: Served) -> None:
    document = of_all.json("sql", query=query)
    assert "answer" not in document
    if query:
        assert document["error"]
    assert of_all.json("sql", query="SELECT count(*) FROM pairs")["answer"]["rows"] == [[132]]


def test_sql_takes_no_longer_than_it_may(of_all: Served) -> None:
    from taskvec.errors import TaskvecError

    with pytest.raises(TaskvecError, match=r"more than 0\.2 s"):
        of_all.live.view().database.ask("SELECT count(*) FROM range(10000000000) a, range(1000) b", seconds=0.2)

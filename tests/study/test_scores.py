"""Scores of answers, on answers whose scores are known."""

from __future__ import annotations

import json

import pytest

from study.documents import Document
from study.scores import Extraction, extracted, extraction, read_answer, rouge

DOCUMENT = Document(
    ("Ada Lane of Orion met Bob Reed in Lyon.", "Rain fell."),
    "Ada Lane met Bob Reed.",
    {"persons": ("Ada Lane", "Bob Reed"), "organisations": ("Orion",), "places": ("Lyon",), "dates": ()},
)


def counted(answer: object) -> Extraction:
    return extracted(json.dumps(answer), DOCUMENT, ["persons"])


@pytest.mark.parametrize(
    ("given", "counts"),
    [
        (["Ada Lane", "Bob Reed"], {"right": 2}),
        (["Bob Reed"], {"right": 1}),
        (["Bob Reed", "Bob Reed"], {"right": 1, "over_detected": 1}),
        (["Ada Lane", "Orion"], {"right": 1, "over_detected": 1}),
        (["Ada Lane", "Mr Reed"], {"right": 1, "rephrased": 1}),
        (["Eve Stone"], {"invented": 1}),
        ([""], {"invented": 1}),
        ([], {}),
    ],
)
def test_what_is_given_is_counted_once(given: list[str], counts: dict[str, int]) -> None:
    assert counted({"persons": given}) == Extraction(expected=2, **counts)


def test_a_label_that_was_not_asked_for_is_over_detected() -> None:
    assert counted({"places": ["Lyon"]}) == Extraction(expected=2, over_detected=1)


@pytest.mark.parametrize("answer", ["Ada Lane, Bob Reed", "{", "[]", '{"persons": "Ada Lane"}', '{"persons": [1]}'])
def test_what_is_no_object_of_lists_is_unreadable(answer: str) -> None:
    assert extracted(answer, DOCUMENT, ["persons"]) == Extraction(expected=2, unreadable=1)


def test_what_follows_an_object_is_left_alone() -> None:
    assert read_answer('Answer: {"persons": []} and so on') == {"persons": []}


def test_precision_recall_and_f1_are_over_all_answers() -> None:
    answers = ['{"persons": ["Ada Lane", "Orion"]}', "?"]
    found = extraction(answers, [DOCUMENT, DOCUMENT], ["persons"])
    assert found == Extraction(expected=4, right=1, over_detected=1, unreadable=1)
    assert (found.precision, found.recall, found.f1) == (1 / 2, 1 / 4, 2 / 6)
    assert (Extraction().precision, Extraction().recall, Extraction().f1) == (0.0, 0.0, 0.0)


def test_rouge_of_equal_half_and_other_texts() -> None:
    assert rouge(["a b c d"], ["a b c d"]) == {"rouge1": 100, "rouge2": 100, "rougeL": 100, "rougeLsum": 100}
    half = rouge(["a b x y"], ["a b c d"])
    assert (half["rouge1"], half["rougeL"]) == (50, 50)
    assert half["rouge2"] == pytest.approx(100 / 3, abs=0.01)
    assert rouge(["x"], ["a"])["rouge1"] == 0
    # sentences in another order: only rougeLsum, which goes sentence by sentence, stays whole
    turned = rouge(["Rain fell. Ada left."], ["Ada left. Rain fell."])
    assert turned["rougeLsum"] == 100 > turned["rougeL"]

"""The corpus: what a record says is what its document says."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

import study
from study.documents import LABELS, Document, read_documents, split_sentences
from study.gazette import write_documents
from study.plan import Corpus, PlanError, read_plan
from study.steps import Course
from study.tasks import MIXTURES, TASKS, parts_of

DOCUMENTS = write_documents(60, "test")


def test_a_seed_gives_the_same_documents_and_another_seed_others() -> None:
    assert write_documents(60, "test") == DOCUMENTS
    assert not set(d.text for d in write_documents(60, "train")) & set(d.text for d in DOCUMENTS)


@pytest.mark.parametrize("label", LABELS)
def test_every_entity_stands_once_in_its_text_and_in_order(label: str) -> None:
    for document in DOCUMENTS:
        places = [[m.start() for m in re.finditer(rf"\b{name}\b", document.text)] for name in document.entities[label]]
        assert len(places) == 2
        assert all(len(found) == 1 for found in places)
        assert places == sorted(places)


def test_no_other_word_looks_like_a_name() -> None:
    """Words with a capital inside a sentence are entities: nothing that a careful reader would add is missing."""
    for document in DOCUMENTS:
        named = {word for names in document.entities.values() for name in names for word in name.split()}
        for sentence in document.sentences:
            inside = re.findall(r"\b[A-Z]\w+", sentence.split(" ", 1)[1])
            assert set(inside) <= named


def test_ten_sentences_of_which_the_first_is_the_tenth_part() -> None:
    for document in DOCUMENTS:
        assert len(document.sentences) == 10
        assert split_sentences(document.text) == document.sentences
        assert TASKS["ten"].answer(document) == document.sentences[0]
    assert len({document.sentences.index(TASKS["sum"].pieces(document)[0]) for document in DOCUMENTS}) > 5


def test_answers_of_labels_are_parts_of_the_answer_of_ner() -> None:
    for document in DOCUMENTS:
        whole = json.loads(TASKS["ner"].answer(document))
        for task, label in zip(("per", "org", "loc", "date"), LABELS, strict=True):
            assert json.loads(TASKS[task].answer(document)) == {label: whole[label]}


def test_the_summary_names_who_did_what_and_where() -> None:
    for document in DOCUMENTS:
        [sentence] = TASKS["sum"].pieces(document)
        assert document.summary not in document.text
        words = document.summary.rstrip(".").lower().split()
        assert all(word in sentence.lower() for word in words)


def test_mixtures_are_made_of_tasks() -> None:
    assert all(set(parts) <= set(TASKS) for parts in MIXTURES.values())
    assert parts_of("ner") == ("ner",)
    with pytest.raises(KeyError, match="no task 'nerd'"):
        parts_of("nerd")


def test_documents_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    line = {"text": "Ada met Bob. They left!", "summary": "Ada met Bob.", "entities": {"persons": ["Bob", "Ada"]}}
    path.write_text(json.dumps(line) + "\n\n")
    entities = {"persons": ("Ada", "Bob"), "organisations": (), "places": (), "dates": ()}
    assert read_documents(path) == [Document(("Ada met Bob.", "They left!"), "Ada met Bob.", entities)]


def test_a_corpus_of_ones_own_is_divided(tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    line = {"summary": "One left.", "entities": {"persons": ["Ada"], "places": ["St. Louis"]}}
    texts = [f"Ada left St.  \nLouis. It was {number}." for number in range(3)]
    path.write_text("".join(json.dumps(line | {"text": text}) + "\n" for text in texts))
    plan = read_plan(Path(study.__file__).parent / "plan.toml")
    course = Course(replace(plan, corpus=Corpus(train=2, test=1, documents=str(path))), "instruct", tmp_path)
    train, test = course.documents
    assert (len(train), len(test)) == (2, 1)
    for document in [*train, *test]:
        for task in TASKS.values():
            assert all(piece in document.text for piece in task.pieces(document)) and task.answer(document)
    with pytest.raises(PlanError, match="has 3 documents, fewer than"):
        _ = Course(replace(plan, corpus=Corpus(train=3, test=1, documents=str(path))), "instruct", tmp_path).documents


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"text": None}, "text and summary"),
        ({"entities": {"people": []}}, "unknown labels"),
        ({"entities": {"persons": ["Eve"]}}, "'Eve' is not in the text"),
    ],
)
def test_a_line_that_is_no_document(tmp_path: Path, change: dict[str, object], message: str) -> None:
    path = tmp_path / "own.jsonl"
    path.write_text(json.dumps({"text": "Ada left.", "summary": "Ada left.", "entities": {}} | change))
    with pytest.raises(ValueError, match=message) as caught:
        read_documents(path)
    assert "line 1" in str(caught.value)

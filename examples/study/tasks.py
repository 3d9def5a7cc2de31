"""The tasks: what is asked of a document, and its answer. A mixture asks one of its parts at a time."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from .documents import LABELS, Document

SHARE = 0.1  # of the sentences, for 10%SENT


@dataclass(frozen=True)
class Task:
    """One question; its answer as text, and the pieces of the document that an encoder tags in the place of it."""

    question: str
    answer: Callable[[Document], str]
    pieces: Callable[[Document], list[str]]

    def prompt(self, document: Document) -> str:
        return f"{self.question}\n### Document : {document.text}\n### Answer :"


def extraction(question: str, *labels: str) -> Task:
    def answer(document: Document) -> str:
        return json.dumps({label: document.entities[label] for label in labels}, ensure_ascii=False)

    def pieces(document: Document) -> list[str]:
        return [name for label in labels for name in document.entities[label]]

    return Task(question, answer, pieces)


def first_sentences(document: Document) -> list[str]:
    return list(document.sentences[: max(1, round(SHARE * len(document.sentences)))])


def summarised_sentence(document: Document) -> list[str]:
    """The sentence that shares most words with the summary: what an encoder, which writes nothing, can point at."""
    words = set(document.summary.split())
    return [max(document.sentences, key=lambda sentence: len(words & set(sentence.split())))]


TASKS = {
    "sum": Task(
        "Summarize the following document in one sentence :", lambda document: document.summary, summarised_sentence
    ),
    "ten": Task(
        "Copy the first ten percent of the sentences of the following document :",
        lambda document: " ".join(first_sentences(document)),
        first_sentences,
    ),
    "ner": extraction("What are the named entities present in the following document :", *LABELS),
    "per": extraction("Which persons are present in the following document :", "persons"),
    "org": extraction("Which organisations are present in the following document :", "organisations"),
    "loc": extraction("Which places are present in the following document :", "places"),
    "date": extraction("Which dates are present in the following document :", "dates"),
}
LABEL_TASKS = ("per", "org", "loc", "date")  # each a part of ner
MIXTURES = {"ner+ten": ("ner", "ten"), "sum+ten": ("sum", "ten"), "all": ("sum", "ner", "ten")}


def parts_of(task: str) -> tuple[str, ...]:
    """A mixture's parts; a task is its own only part.

    Raises:
        KeyError: no task or mixture has this name.
    """
    if task in MIXTURES:
        return MIXTURES[task]
    if task not in TASKS:
        raise KeyError(f"no task {task!r}; there are {', '.join([*TASKS, *MIXTURES])}")
    return (task,)

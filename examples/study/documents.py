"""A document and what is known of it; a user's own documents from JSON lines."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

LABELS = ("persons", "organisations", "places", "dates")


@dataclass(frozen=True)
class Document:
    """The entities of every label stand in the order of the text."""

    sentences: tuple[str, ...]
    summary: str
    entities: Mapping[str, tuple[str, ...]]

    @property
    def text(self) -> str:
        return " ".join(self.sentences)


def split_sentences(text: str) -> tuple[str, ...]:
    """At a full stop, question or exclamation mark that a space and no small letter follow."""
    return tuple(part.strip() for part in re.split(r"(?<=[.!?])\s+(?![a-z])", text) if part.strip())


def read_documents(path: Path) -> list[Document]:
    """From JSON lines of `text`, `summary` and `entities` (an object of lists of strings, by label).

    Raises:
        ValueError: a line that is no such object, or an entity that is not in its text.
    """
    documents = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if line.strip():
            try:
                documents.append(document_of(json.loads(line)))
            except (TypeError, KeyError, ValueError) as error:
                raise ValueError(f"{path}, line {number}: {error!r}; expected text, summary and entities") from error
    return documents


def document_of(record: Mapping[str, object]) -> Document:
    text, summary, entities = record["text"], record["summary"], record["entities"]
    if not isinstance(text, str) or not isinstance(summary, str) or not isinstance(entities, dict):
        raise TypeError("text and summary are strings, entities is an object")
    if unknown := set(entities) - set(LABELS):
        raise ValueError(f"unknown labels {sorted(unknown)}, known are {', '.join(LABELS)}")
    sentences = split_sentences(text)
    text = " ".join(sentences)  # as the tasks show it
    found = {label: tuple(sorted(entities.get(label, ()), key=text.find)) for label in LABELS}
    if absent := [name for names in found.values() for name in names if name not in text]:
        raise ValueError(f"{absent[0]!r} is not in the text")
    return Document(sentences, summary, found)

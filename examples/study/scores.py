"""How good answers are: ROUGE, and precision and recall of what was extracted."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass

from rouge_score.rouge_scorer import RougeScorer

from .documents import Document

ROUGE = ("rouge1", "rouge2", "rougeL", "rougeLsum")


def rouge(answers: Sequence[str], expected: Sequence[str]) -> dict[str, float]:
    """Mean F1 in per cent, of words as they are, without stemming."""
    scorer = RougeScorer(list(ROUGE), use_stemmer=False)
    # rougeLsum takes lines for sentences
    scores = [scorer.score(as_lines(right), as_lines(answer)) for answer, right in zip(answers, expected, strict=True)]
    return {name: round(100 * sum(score[name].fmeasure for score in scores) / len(scores), 2) for name in ROUGE}


def as_lines(text: str) -> str:
    return re.sub(r"(?<=[.!?]) ", "\n", text)


@dataclass(frozen=True)
class Extraction:
    """Counts over answers: what was expected, and what was given, each thing once.

    - right: an entity of this label, letter for letter, the first time that it is given;
    - over_detected: in the text, and no entity of this label, or given before;
    - rephrased: not in the text letter for letter, but with a word of an entity of this label;
    - invented: none of these.
    """

    expected: int = 0
    right: int = 0
    over_detected: int = 0
    rephrased: int = 0
    invented: int = 0
    unreadable: int = 0  # answers that are no JSON object of lists

    def __add__(self, other: Extraction) -> Extraction:
        return Extraction(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    @property
    def given(self) -> int:
        return self.right + self.over_detected + self.rephrased + self.invented

    @property
    def precision(self) -> float:
        return self.right / self.given if self.given else 0.0

    @property
    def recall(self) -> float:
        return self.right / self.expected if self.expected else 0.0

    @property
    def f1(self) -> float:
        return 2 * self.right / (self.given + self.expected) if self.given + self.expected else 0.0


def extraction(answers: Sequence[str], documents: Sequence[Document], labels: Sequence[str]) -> Extraction:
    counts = (extracted(answer, document, labels) for answer, document in zip(answers, documents, strict=True))
    return sum(counts, start=Extraction())


def extracted(answer: str, document: Document, labels: Sequence[str]) -> Extraction:
    entities = {label: document.entities[label] for label in labels}
    expected = sum(map(len, entities.values()))
    given = read_answer(answer)
    if given is None:
        return Extraction(expected=expected, unreadable=1)
    counts = Extraction(expected=expected)
    for label, names in given.items():
        counts += judged(names, entities.get(label, ()), document.text)
    return counts


def read_answer(answer: str) -> Mapping[str, Sequence[str]] | None:
    """The first JSON object of the answer, whatever follows it; None if there is none of lists of strings."""
    try:
        found, _ = json.JSONDecoder().raw_decode(answer, answer.find("{") if "{" in answer else 0)
    except ValueError:
        return None
    if not isinstance(found, dict) or not all(isinstance(names, list) for names in found.values()):
        return None
    return found if all(isinstance(name, str) for names in found.values() for name in names) else None


def judged(names: Iterable[str], entities: Sequence[str], text: str) -> Extraction:
    left, counts = list(entities), Extraction()
    for name in names:
        words = set(name.lower().split())
        if name in left:
            left.remove(name)
            counts += Extraction(right=1)
        elif name and name in text:
            counts += Extraction(over_detected=1)
        elif any(words & set(entity.lower().split()) for entity in entities):
            counts += Extraction(rephrased=1)
        else:
            counts += Extraction(invented=1)
    return counts

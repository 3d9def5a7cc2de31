"""What was measured on one base, as the CSV and JSON files that `taskvec score` and `taskvec report` read."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import taskvec

from .behaviour import behaviour, forgetting
from .compare import write_comparison
from .documents import LABELS, Document
from .files import read_json, write_json, write_text
from .plan import Adapter, Trained
from .scores import Extraction, extraction, judged, rouge
from .steps import BASE, Course, Step
from .tasks import TASKS
from .truth import group_of, truth

OF_LABEL = {"per": "persons", "org": "organisations", "loc": "places", "date": "dates"}
Row = Mapping[str, Any]


def collect(course: Course) -> None:
    """Every step must have been done."""
    folder, adapters = course.folder, list(course.adapters.values())
    measured = {name: read_json(course.product(Step("measure", name))) for name in [BASE, *course.adapters]}
    losses = {name: {task: loss for task, (loss, _) in record["losses"].items()} for name, record in measured.items()}
    base = losses.pop(BASE)
    write_json(folder / "truth.json", truth(adapters))
    shares = ({"source": c, "target": a, "behaviour": round(x, 4)} for c, a, x in behaviour(adapters, losses, base))
    write_csv(folder / "behaviour.csv", shares)
    lost = (
        {"adapter": name, "task": task, "base_loss": round(before, 4), "loss": round(after, 4)}
        for name, task, before, after in forgetting(adapters, losses, base)
    )
    write_csv(folder / "forgetting.csv", lost)
    rows = list(scores(course, measured))
    write_csv(folder / "scores.csv", rows)
    write_csv(folder / "labels.csv", (label(course, adapter, rows) for adapter in adapters))
    write_csv(folder / "seconds.csv", seconds(course, measured))
    swept = taskvec.sweep([folder / "adapters"], folder / "result.zarr")
    taskvec.ranking(swept).to_csv(folder / "pairs.csv", index=False, float_format="%.5g")
    write_comparison(folder)


def scores(course: Course, measured: Mapping[str, Row]) -> Iterator[Row]:
    """The ladder: the base without and with examples, then every adapter on what it was trained on."""
    for setting, key in (("zero-shot", "answers"), ("few-shot", "few_shot")):
        for task, answers in measured[BASE].get(key, {}).items():
            yield score(course, BASE, setting, task, answers)
    for name, record in measured.items():
        for task, answers in record["answers"].items() if name != BASE else ():
            yield score(course, name, "LoRA", task, answers)


def score(course: Course, name: str, setting: str, task: str, answers: Sequence[str]) -> Row:
    adapter, documents = course.adapters.get(name), course.documents[1][: len(answers)]
    tagged = course.is_tagger
    expected = [TASKS[task].answer(document) for document in documents]
    found = tagged_pieces(task, answers, documents) if tagged else extracted(task, answers, documents)
    return {
        "model": course.base_name,
        "adapter": name,
        "task": task,
        "setting": setting,
        "seed": "" if adapter is None else adapter.seed,
        "rank": adapter.rank if isinstance(adapter, Trained) else "",
        "documents": len(answers),
        **({} if tagged else rouge(answers, expected)),
        **({} if found is None else asdict(found)),
        **({} if found is None else {n: round(getattr(found, n), 4) for n in ("precision", "recall", "f1")}),
    }


def extracted(task: str, answers: Sequence[str], documents: Sequence[Document]) -> Extraction | None:
    labels = LABELS if task == "ner" else [OF_LABEL[task]] if task in OF_LABEL else None
    return None if labels is None else extraction(answers, documents, labels)


def tagged_pieces(task: str, answers: Sequence[str], documents: Sequence[Document]) -> Extraction:
    found = Extraction()
    for answer, document in zip(answers, documents, strict=True):
        pieces = TASKS[task].pieces(document)
        found += Extraction(expected=len(pieces))
        found += judged([piece for piece in answer.split(" | ") if piece], pieces, document.text)
    return found


def label(course: Course, adapter: Adapter, scores: Sequence[Row]) -> Row:
    """For `taskvec report --labels`; rougeLsum is of the adapter's own task, if that is one alone."""
    own = [row.get("rougeLsum", "") for row in scores if row["adapter"] == adapter.name]
    return {
        "adapter": adapter.name,
        "task": group_of(adapter),
        "seed": adapter.seed,
        "model": course.base_name,
        "family": course.base.family,
        "rougeLsum": own[0] if len(own) == 1 else "",
    }


def seconds(course: Course, measured: Mapping[str, Row]) -> Iterator[Row]:
    for step in course.steps():
        if step.kind == "train":
            record = read_json(course.product(step))
            yield {
                "adapter": step.name,
                "train_cpu_seconds": record["cpu_seconds"],
                "measure_cpu_seconds": measured[step.name]["cpu_seconds"],
                "last_loss": record["losses"][-1],
                **record["made_with"],
                **{f"token_accuracy_{task}": value for task, value in record["token_accuracy"].items()},
            }


def write_csv(path: Path, rows: Iterable[Row]) -> None:
    """The columns are those of all rows, in the order in which they first come."""
    rows = list(rows)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(key for row in rows for key in row)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())

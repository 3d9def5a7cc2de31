"""Methods, and answers side by side: what is read as text."""

from __future__ import annotations

from dataclasses import asdict

from ...reports.html.document import printable_lines
from ...reports.html.methods import methods, sweep_command
from .page import Asked, Document, all_names, field, paged


def methods_page(asked: Asked) -> Document:
    view = asked.view
    found = methods(
        view.dataset.attrs,
        view.names,
        view.dataset.sizes["module"],
        view.significance.sigma0,
        [sweep_command(view.dataset.attrs, asked.live.name), f"taskvec explore {asked.live.name}"],
    )
    return {**all_names(view), "methods": found}


def answers(asked: Asked) -> Document:
    name, given = asked.address.text("adapter"), asked.live.answers
    words = asked.address.text("find").lower()
    some = [
        one
        for one in given
        if (not name or one.adapter == name) and words in f"{one.prompt}\n{one.base}\n{one.answer}".lower()
    ]
    start, paging = paged(asked.address, len(some), 20)
    known = sorted({one.adapter for one in given})
    shown = some[start : start + 20]
    return {
        "form": [
            field("adapter", "Adapter", name, options=[("", "all"), *((one, printable_lines(one)) for one in known)]),
            field("find", "Contains", words),
        ],
        "answers": [{key: printable_lines(text) for key, text in asdict(one).items()} for one in shown],
        "recorded": len(given),
        "paging": paging,
    }

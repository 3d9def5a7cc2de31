"""Tables as Markdown and LaTeX."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from ...errors import printable
from .sentences import percent
from .sheets import Head, Sheet

MATHS = {
    "→": r"$\to$", "‖": r"$\|$", "τ": r"$\tau$", "λ": r"$\lambda$", "Σ": r"$\Sigma$", "σ": r"$\sigma$",
    "−": "$-$", "₀": "$_0$", "₁": "$_1$", "₂": "$_2$", "⊃": r"$\supset$",
}  # fmt: skip
ESCAPED = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
FORMS = {"whole": ".0f", "short": ".3g", "f3": ".3f", "s3": "+.3f"}


def markdown(sheets: Iterable[Sheet]) -> str:
    """A heading, a table and its notes for each."""
    parts = []
    for sheet in sheets:
        rows = [[in_markdown(head.title) for head in sheet.heads], ["---"] * len(sheet.heads)]
        rows += [[in_markdown(text) for text in row] for row in cells(sheet)]
        lines = [f"## {in_markdown(sheet.title)}", "", *(f"| {' | '.join(row)} |" for row in rows)]
        parts.append("\n".join([*lines, *(f"\n{in_markdown(note)}" for note in sheet.notes)]))
    return "\n\n".join(parts) + "\n"


def latex(sheets: Iterable[Sheet]) -> str:
    """A table environment for each; the document needs the package booktabs."""
    parts = []
    for sheet in sheets:
        right = "".join("l" if head.form == "text" else "r" for head in sheet.heads)
        rows = [" & ".join(map(in_latex, row)) + r" \\" for row in cells(sheet)]
        heads = " & ".join(in_latex(head.title) for head in sheet.heads) + r" \\"
        caption = in_latex(". ".join([sheet.title, *sheet.notes]).replace("..", "."))
        lines = [
            r"\begin{table}", r"\centering", rf"\caption{{{caption}}}", rf"\begin{{tabular}}{{{right}}}", r"\toprule",
            heads, r"\midrule", *rows, r"\bottomrule", r"\end{tabular}", r"\end{table}",
        ]  # fmt: skip
        parts.append("\n".join(lines))
    return "% \\usepackage{booktabs}\n" + "\n\n".join(parts) + "\n"


def cells(sheet: Sheet) -> list[list[str]]:
    return [[cell(row, head) for head in sheet.heads] for row in sheet.frame.to_dict("records")]


def cell(row: Mapping[str, Any], head: Head) -> str:
    """As the page writes it; the interval after the number."""
    value = row[head.key]
    if head.form == "text" or isinstance(value, str):
        return "" if value is None or value != value else printable(str(value))
    if value is None or math.isnan(value):
        return ""
    text = number(value, head.form)
    low, high = (row[key] for key in head.keys[1:]) if head.bounds else (math.nan, math.nan)
    return text if math.isnan(low) else f"{text} [{number(low, head.form)}, {number(high, head.form)}]"


def number(value: float, form: str) -> str:
    return percent(value) if form == "percent" else format(value, FORMS[form]).replace("-", "−")


def in_markdown(text: str) -> str:
    """Text that no reader of Markdown takes for markup or for HTML."""
    return re.sub(r"([\\`*_{}\[\]<>|#$~])", r"\\\1", printable(text))


def in_latex(text: str) -> str:
    """Text that LaTeX sets as it is; what it has no letter for by default is mathematics."""
    escaped = re.sub(r"[\\~^#$%&_{}]", lambda one: ESCAPED.get(one[0], f"\\{one[0]}"), printable(text))
    return "".join(MATHS.get(character, character) for character in escaped)

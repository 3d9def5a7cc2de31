"""Rules over pairs, such as ``captured > 0.9 and not same_group``: a small language that runs no code."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd  # type: ignore[import-untyped]

from ..errors import TaskvecError

LONGEST = 1000  # characters
COMPARED: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge, ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}  # fmt: skip
COMPUTED: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
}  # fmt: skip
TEXT = ("source", "target", "source_group", "target_group")
TRUTH = ("same_group",)
EXPECTED = "comparisons of columns with and, or, not, + - * / and abs(), as captured > 0.9 and not same_group"


@dataclass(frozen=True)
class Rule:
    """What no pair may be.

    Attributes:
        text: as it was given.
        node: its expression, in which every name is a column.
    """

    text: str
    node: ast.expr

    @classmethod
    def parse(cls, text: str, columns: tuple[str, ...]) -> Rule:
        """TaskvecError for what is no rule over these columns."""
        try:
            if len(text) > LONGEST:
                raise ValueError
            node = ast.parse(text.strip(), mode="eval").body
            if kind_of(node, columns, text) != "truth":
                raise ValueError
        except (SyntaxError, ValueError, OverflowError, RecursionError, MemoryError) as error:
            raise TaskvecError("--fail-on is no rule", got=text[:LONGEST], expected=EXPECTED) from error
        return cls(text, node)

    def broken(self, rows: pd.DataFrame) -> pd.DataFrame:
        """The rows for which it holds. What is undefined is not more, less or equal to anything."""
        with np.errstate(divide="ignore", invalid="ignore"):
            found = evaluated(self.node, {name: rows[name].to_numpy() for name in rows})
        return rows[np.broadcast_to(np.asarray(found, bool), len(rows))]


def kind_of(node: ast.expr, columns: tuple[str, ...], text: str) -> str:
    """Whether an expression is a "truth", a "number" or a "text"; ValueError for one that is none or mixes them."""

    def all_of(kind: str, *nodes: ast.expr) -> bool:
        return all(kind_of(one, columns, text) == kind for one in nodes)

    match node:
        case ast.BoolOp(values=values) if all_of("truth", *values):
            return "truth"
        case ast.UnaryOp(op=ast.Not(), operand=operand) if all_of("truth", operand):
            return "truth"
        case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=operand) if all_of("number", operand):
            return "number"
        case ast.Call(func=ast.Name("abs"), args=[operand], keywords=[]) if all_of("number", operand):
            return "number"
        case ast.BinOp(left=left, op=op, right=right) if type(op) in COMPUTED and all_of("number", left, right):
            return "number"
        case ast.Compare(left=left, ops=ops, comparators=others) if all(type(op) in COMPARED for op in ops):
            if all_of("number", left, *others) or all_of("text", left, *others):
                return "truth"
        case ast.Constant(value=bool()):
            return "truth"
        case ast.Constant(value=int() | float() as value):
            float(value)  # OverflowError for one that no array holds
            return "number"
        case ast.Constant(value=str()):
            return "text"
        case ast.Name(id=name):
            if name not in columns:
                raise TaskvecError(f"--fail-on {text}: no column {name!r}", expected=f"some of {', '.join(columns)}")
            return "text" if name in TEXT else "truth" if name in TRUTH else "number"
    raise ValueError


def evaluated(node: ast.expr, values: Mapping[str, Any]) -> Any:
    """Of arrays over rows; the expression has been checked."""
    match node:
        case ast.BoolOp(op=op, values=nodes):
            parts = [np.asarray(evaluated(one, values), bool) for one in nodes]
            join = np.logical_and if isinstance(op, ast.And) else np.logical_or
            found = parts[0]
            for part in parts[1:]:
                found = join(found, part)
            return found
        case ast.UnaryOp(op=op, operand=operand):
            value = evaluated(operand, values)
            return np.logical_not(value) if isinstance(op, ast.Not) else -value if isinstance(op, ast.USub) else value
        case ast.Call(args=[operand]):
            return np.abs(evaluated(operand, values))
        case ast.BinOp(left=left, op=op, right=right):
            return COMPUTED[type(op)](*(np.asarray(evaluated(one, values), np.float64) for one in (left, right)))
        case ast.Compare(left=left, ops=ops, comparators=others):
            sides = [evaluated(one, values) for one in (left, *others)]
            pairs = zip(sides, sides[1:], ops, strict=False)
            return np.logical_and.reduce(np.broadcast_arrays(*(COMPARED[type(op)](a, b) for a, b, op in pairs)))
        case ast.Constant(value=value):
            return value
        case ast.Name(id=name):
            return values[name]
    raise AssertionError(ast.dump(node))


def with_groups(rows: pd.DataFrame, groups: Mapping[str, str]) -> pd.DataFrame:
    """The rows with the groups of both ends, empty for none, and whether they are the same one."""
    one, two = ([groups.get(name, "") for name in rows[end]] for end in ("source", "target"))
    same = [a == b != "" for a, b in zip(one, two, strict=True)]
    return rows.assign(source_group=one, target_group=two, same_group=same)

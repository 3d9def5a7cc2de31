"""Work of two stages at the same time."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
END = object()


def ahead(items: Iterable[T]) -> Generator[T, None, None]:
    """The same items, each made in a thread while the one before it is used."""
    source = iter(items)
    with ThreadPoolExecutor(1, "taskvec-ahead") as thread:
        coming = thread.submit(next, source, END)
        while (item := coming.result()) is not END:
            coming = thread.submit(next, source, END)
            yield item  # type: ignore[misc]

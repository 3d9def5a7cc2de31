"""Addresses that a person keeps under a name: a small file of the person's own, for every result."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Lock

from ..errors import TaskvecError, printable

SCHEMA = "taskvec.saved/1"
MOST = 200
LONGEST = 8000  # characters of an address


@dataclass(frozen=True)
class Saved:
    """A page with its parameters, relative: "pairs?captured=0.5"."""

    name: str
    address: str


class SavedQueries:
    """Those of a file; changes are written at once, whole or not."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = Lock()

    def all(self) -> list[Saved]:
        """In the order in which they were kept; TaskvecError for a file that is none of ours."""
        try:
            document = json.loads(self.path.read_text(encoding="utf-8"))
            return [Saved(str(one["name"]), str(one["address"])) for one in document["queries"]]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise TaskvecError("cannot be read as saved queries", where=self.path, fix="move it away") from error

    def keep(self, name: str, address: str) -> None:
        """In the place of one of that name."""
        name = printable(name.strip())
        if not 0 < len(name) <= 100 or len(address) > LONGEST:
            raise TaskvecError("a query is kept under a name", got=repr(name[:100]), expected="1 to 100 characters")
        with self._lock:
            rest = [one for one in self.all() if one.name != name]
            if len(rest) >= MOST:
                raise TaskvecError(f"{MOST} queries are kept", where=self.path, fix="remove one")
            self._write([*rest, Saved(name, address)])

    def remove(self, name: str) -> None:
        with self._lock:
            self._write([one for one in self.all() if one.name != name])

    def _write(self, queries: list[Saved]) -> None:
        document = {"schema": SCHEMA, "queries": [asdict(one) for one in queries]}
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            new = self.path.with_name(f".{self.path.name}.{os.getpid()}")
            new.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
            new.replace(self.path)
        except OSError as error:
            raise TaskvecError(f"cannot be written ({error.strerror})", where=self.path) from error


def user_file() -> Path:
    """Where a person's queries are: XDG_CONFIG_HOME, or ~/.config."""
    home = os.environ.get("XDG_CONFIG_HOME", "")
    return (Path(home) if Path(home).is_absolute() else Path.home() / ".config") / "taskvec/queries.json"

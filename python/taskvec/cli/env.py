"""``taskvec env``: versions, SIMD level, backends."""

from __future__ import annotations

from .common import AsJson, console, print_json, table


def env(as_json: AsJson = False) -> None:
    """Versions, SIMD level, and each backend with why it can or cannot run."""
    from ..env import environment

    found = environment()
    if as_json:
        print_json(found)
        return
    versions = ((name, version or "not installed") for name, version in found.pop("versions").items())
    backends = found.pop("backends")
    out = console()
    out.print(table(("package", "version"), versions))
    out.print(table(("machine", ""), ((name.replace("_", " "), str(value)) for name, value in found.items())))
    rows = ((item["name"], "yes" if item["usable"] else "no", item["reason"]) for item in backends)
    out.print(table(("backend", "can run", "why"), rows))

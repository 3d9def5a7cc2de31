"""Hook of mkdocs.yml: pages of the site that are not files of docs/, and links as GitHub follows them.

On the site README.md, CHANGELOG.md and CONTRIBUTING.md are pages; any other file of the tree that a document links to
is copied next to them, and a folder is a page of its files. A link that is called by its file's name is called by the
title of that page. A tutorial in Python alone is a notebook too. What is built loads nothing from elsewhere.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
from pathlib import Path, PurePosixPath
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
PAGES = {"README.md": "index.md", "CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md"}
COMMANDS = "reference/commands.md"
LINK = re.compile(r"\[(?P<text>[^][]*)\]\((?![a-z]+:)(?P<target>[^)#\s]+)")
FOREIGN = re.compile(
    r"""<(?:script|img|iframe|source)\b[^>]*\bsrc="?(?:https?:)?//|"""
    r"""<link\b[^>]*\bhref="?(?:https?:)?//"""
)
FOREIGN_STYLE = re.compile(r"""(?:@import|url\()\s*["']?(?:https?:)?//""")
BLOCKS = re.MULTILINE | re.DOTALL
WIDTH = 100  # of the commands' help


def on_files(files: Files, config: MkDocsConfig) -> Files:
    for name, uri in PAGES.items():
        files.append(File.generated(config, uri, content=(ROOT / name).read_text()))
    files.append(File.generated(config, COMMANDS, content=commands()))
    for file in files.documentation_pages():
        if is_notebook(file):
            files.append(File.generated(config, f"{file.src_uri[:-3]}.ipynb", content=notebook(file.content_string)))
    for path in sorted({path for file in files.documentation_pages() for path in linked(file)}):
        if (ROOT / path).is_dir():
            page = File.generated(
                config, uri_of(path), content=listing(ROOT / path), inclusion=InclusionLevel.NOT_IN_NAV
            )
            files.append(page)
        elif not path.startswith("docs/") and path not in PAGES:
            files.append(File.generated(config, uri_of(path), content=(ROOT / path).read_bytes()))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links between files of the tree, as links between pages of the site."""
    folder = PurePosixPath(page.file.src_uri).parent

    def replaced(match: re.Match[str]) -> str:
        uri = uri_of(path_of(match["target"], page.file))
        file = files.get_file_from_path(uri)
        text = title(file) if file and match["text"].endswith(".md") else match["text"]
        return f"[{text}]({PurePosixPath(os.path.relpath(uri, folder)).as_posix()}"

    below = f"\n[This page as a notebook]({PurePosixPath(page.file.src_uri).stem}.ipynb)\n"
    return LINK.sub(replaced, markdown) + below * is_notebook(page.file)


def on_post_build(config: MkDocsConfig) -> None:
    """PluginError for a page or a style that loads something from elsewhere."""
    for suffix, pattern in ((".html", FOREIGN), (".css", FOREIGN_STYLE)):
        for path in Path(config.site_dir).rglob(f"*{suffix}"):
            if found := pattern.search(path.read_text()):
                raise PluginError(f"{path} loads from elsewhere: {found[0]}")


def title(file: File) -> str:
    """What a page's first heading says."""
    return file.content_string.partition("# ")[2].partition("\n")[0]


def linked(file: File) -> list[str]:
    """Paths in the tree of the files that a page links to."""
    return [path_of(match["target"], file) for match in LINK.finditer(file.content_string)]


def path_of(target: str, file: File) -> str:
    """Where in the tree a page's link leads."""
    origin = next((name for name, uri in PAGES.items() if uri == file.src_uri), f"docs/{file.src_uri}")
    return PurePosixPath(os.path.normpath(PurePosixPath(origin).parent / target)).as_posix()


def uri_of(path: str) -> str:
    """Where a file of the tree is on the site."""
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    return PAGES.get(path, f"tree/{path}.md" if (ROOT / path).is_dir() else f"tree/{path}")


def listing(folder: Path) -> str:
    """A page of the files in a folder."""
    parts = [f"# {folder.relative_to(ROOT)}"]
    for path in sorted(one for one in folder.iterdir() if one.is_file()):
        parts.append(f"## {path.name}\n\n```{path.suffix[1:]}\n{path.read_text()}```")
    return "\n\n".join(parts) + "\n"


def is_notebook(file: File) -> bool:
    """Whether it is a tutorial without commands."""
    return file.src_uri.startswith("tutorials/") and "```console" not in file.content_string


def notebook(markdown: str) -> str:
    """A page as a Jupyter notebook without outputs, which are made by who runs it."""
    cells: list[dict[str, Any]] = []
    bare = re.sub(r"^```text\n.*?^```$\n", "", markdown, flags=BLOCKS)
    for text in re.split(r"^(```python\n.*?^```)$", bare, flags=BLOCKS):
        code = re.fullmatch(r"```python\n(.*)\n```", text, re.DOTALL)
        if code:
            cells.append({"cell_type": "code", "source": code[1], "outputs": [], "execution_count": None})
        elif text.strip():
            cells.append({"cell_type": "markdown", "source": text.strip()})
    for i, cell in enumerate(cells):
        cell |= {"id": f"cell-{i}", "metadata": {}}
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    about = {"nbformat": 4, "nbformat_minor": 5, "metadata": {"kernelspec": kernel}}
    return json.dumps({**about, "cells": cells}, ensure_ascii=False, indent=1)


def commands() -> str:
    """A page of what ``--help`` says, command by command."""
    from taskvec import cli

    os.environ["COLUMNS"] = str(WIDTH)
    parts = ["# Commands"]
    for arguments in ([], *([name] for name in cli.COMMANDS)):
        with contextlib.redirect_stdout(io.StringIO()) as said:
            cli.main([*arguments, "--help"])
        parts.append(f"## {' '.join(['taskvec', *arguments])}\n\n```text\n{said.getvalue().strip()}\n```")
    return "\n\n".join(parts) + "\n"

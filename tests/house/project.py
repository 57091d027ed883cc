"""What the project consists of, as the house tests see it."""

from __future__ import annotations

import ast
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("vna", "storage_backends", "dicomweb")


@cache
def files() -> tuple[Path, ...]:
    """Every file that is or may become part of the project, relative to its root."""
    listed = _files_of_git() if (ROOT / ".git").exists() and shutil.which("git") else _files_found()
    return tuple(sorted(path for path in listed if (ROOT / path).is_file()))


def _files_of_git() -> Iterator[Path]:
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True)
    return (Path(name) for name in answer.stdout.split("\0") if name)


def _files_found() -> Iterator[Path]:
    """The same without git: all files but those below the names that .gitignore lists."""
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").split()
    patterns = [pattern.rstrip("/") for pattern in ignored] + [".git"]
    for path in ROOT.rglob("*"):
        parts = [Path(part) for part in path.relative_to(ROOT).parts]
        if not any(part.match(pattern) for part in parts for pattern in patterns):
            yield path.relative_to(ROOT)


def read(path: Path | str) -> str:
    """The text of a file of the project."""
    return (ROOT / path).read_text(encoding="utf-8")


def text_files() -> Iterator[tuple[Path, str]]:
    """Every file that holds text, with it."""
    for path in files():
        data = (ROOT / path).read_bytes()
        if b"\0" not in data:
            yield path, data.decode("utf-8", "replace")


def python_files(*folders: str) -> list[Path]:
    """The Python modules below `folders`."""
    return [path for path in files() if path.suffix == ".py" and path.parts[0] in folders]


@cache
def parse(path: Path) -> ast.Module:
    """The syntax tree of a module."""
    return ast.parse(read(path), str(path))


Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(path: Path) -> Iterator[Function]:
    """Every function and method of a module, nested ones too."""
    for node in ast.walk(parse(path)):
        if isinstance(node, Function):
            yield node


def documents() -> list[Path]:
    """The Markdown files of the project."""
    return [path for path in files() if path.suffix == ".md"]

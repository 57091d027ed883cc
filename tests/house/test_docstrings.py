"""Every module says in one sentence what it is for, every public function what it does."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.house.project import PACKAGES, Function, parse, python_files, read

_SECOND_SENTENCE = re.compile(r"(?<!e\.g)(?<!i\.e)(?<!etc)[.!?] +[A-Z]")

MODULES = [path for path in python_files(*PACKAGES, "tests") if read(path).strip()]


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_a_module_opens_with_one_sentence(path: Path) -> None:
    docstring = ast.get_docstring(parse(path))
    assert docstring, f"{path} has no docstring"
    sentence = docstring.split("\n\n")[0]
    assert sentence.endswith("."), f"{path}: {sentence!r} is not a sentence"
    assert not _SECOND_SENTENCE.search(sentence), f"{path}: {sentence!r} is more than one sentence"


@pytest.mark.parametrize("path", python_files(*PACKAGES), ids=str)
def test_what_is_public_has_a_docstring(path: Path) -> None:
    assert list(undocumented(parse(path).body)) == []


def undocumented(body: Sequence[ast.stmt], owner: ast.ClassDef | None = None) -> Iterator[str]:
    """Public functions, classes and methods without a docstring."""
    for node in body:
        if not isinstance(node, Function | ast.ClassDef) or node.name.startswith(("_", "test_")):
            continue
        if ast.get_docstring(node) is None and not speaks_for_itself(node, owner):
            yield f"{owner.name}.{node.name}" if owner else node.name
        if isinstance(node, ast.ClassDef):
            yield from undocumented(node.body, node)


def speaks_for_itself(node: Function | ast.ClassDef, owner: ast.ClassDef | None) -> bool:
    """Whether it is a method of one statement, or of a class that takes its words from another."""
    return owner is not None and (len(node.body) == 1 or bool(owner.bases))


@pytest.mark.parametrize(
    ("source", "missing"),
    [
        ("def f(): pass", ["f"]),
        ("def _f(): pass", []),
        ("class A:\n  'Doc.'\n  def f(self):\n    x = 1\n    return x", ["A.f"]),
        ("class A:\n  'Doc.'\n  def f(self): return 1", []),
        ("class A(B):\n  'Doc.'\n  def f(self):\n    x = 1\n    return x", []),
        ("class A: pass", ["A"]),
    ],
)
def test_the_rule_itself(source: str, missing: list[str]) -> None:
    assert list(undocumented(ast.parse(source).body)) == missing

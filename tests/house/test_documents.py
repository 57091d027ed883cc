"""The documents tell of every verb, command, metric and audit event; their links lead somewhere."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from tests.house.project import ROOT, documents, parse, read
from vna import __version__
from vna.audit import AuditAction
from vna.cli import main

OPERATIONS = "docs/operations.md"
_VERB = re.compile(r"^([a-z-]+):.*## ", re.MULTILINE)
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
_FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)


def commands(command: click.Command, name: str = "vna") -> Iterator[tuple[str, click.Command]]:
    """(its words, itself) of every command below `command` that does something."""
    if not isinstance(command, click.Group):
        yield name, command
        return
    for word, child in sorted(command.commands.items()):
        yield from commands(child, f"{name} {word}")


def metrics() -> list[str]:
    """The names of all metrics, as declared."""
    calls = (node for node in ast.walk(parse(Path("vna/metrics.py"))) if isinstance(node, ast.Call))
    return [
        str(call.args[0].value)
        for call in calls
        if ast.unparse(call.func) in {"Counter", "Gauge", "Histogram"}
        and isinstance(call.args[0], ast.Constant)
    ]


def verbs() -> list[str]:
    """The verbs of the Makefile that carry a line of help."""
    return _VERB.findall(read("Makefile"))


@pytest.mark.parametrize("verb", verbs())
def test_every_make_verb_is_explained(verb: str) -> None:
    assert f"`make {verb}`" in read("CONTRIBUTING.md")


@pytest.mark.parametrize("path", ["README.md", "CONTRIBUTING.md", OPERATIONS, ".ci/run"])
def test_no_document_names_a_verb_that_is_not_there(path: str) -> None:
    named = set(re.findall(r"(?:^\$? ?|`)make ([a-z]+)", read(path), re.MULTILINE))
    assert named <= set(verbs())


@pytest.mark.parametrize(("words", "command"), list(commands(main)))
def test_every_command_and_option_is_explained(words: str, command: click.Command) -> None:
    text = read(OPERATIONS)
    assert f"`{words}" in text, f"{OPERATIONS} does not explain {words}"
    options = [
        name
        for option in command.params
        if isinstance(option, click.Option)
        for name in option.opts
        if name.startswith("--")
    ]
    assert [name for name in options if name not in text] == []


def test_there_are_metrics() -> None:
    assert len(metrics()) > 5


@pytest.mark.parametrize("name", metrics())
def test_every_metric_is_explained(name: str) -> None:
    assert f"`{name}`" in read(OPERATIONS)


@pytest.mark.parametrize("action", list(AuditAction))
def test_every_audit_event_is_explained(action: AuditAction) -> None:
    assert f"`{action.value}`" in read(OPERATIONS)


def anchors(path: Path) -> set[str]:
    """The fragments that a document's headings can be reached by."""
    titles = _HEADING.findall(_FENCED.sub("", path.read_text(encoding="utf-8")))
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("document", documents(), ids=str)
def test_every_link_within_the_project_leads_somewhere(document: Path) -> None:
    broken = []
    for link in _LINK.findall(_FENCED.sub("", read(document))):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, fragment = link.partition("#")
        target = (ROOT / document.parent / name).resolve() if name else ROOT / document
        if not target.exists() or (fragment and fragment not in anchors(target)):
            broken.append(link)
    assert broken == []


def test_every_decision_is_in_the_list_of_decisions() -> None:
    decisions = sorted(path.name for path in (ROOT / "docs/adr").glob("[0-9]*.md"))
    listed = read("docs/adr/README.md")
    assert decisions
    assert [name for name in decisions if f"({name})" not in listed] == []
    numbers = [int(name[:4]) for name in decisions]
    assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize(
    "path", sorted((ROOT / "docs/adr").glob("[0-9]*.md")), ids=lambda p: p.stem
)
def test_every_decision_has_context_decision_and_consequences(path: Path) -> None:
    titles = _HEADING.findall(path.read_text(encoding="utf-8"))
    assert titles[1:4] == ["Context", "Decision", "Consequences"]


def test_the_version_is_the_same_everywhere() -> None:
    project = tomllib.loads(read("pyproject.toml"))["project"]
    assert project["version"] == __version__
    assert re.search(rf"^## {re.escape(__version__)}\b", read("CHANGELOG.md"), re.MULTILINE)


def test_the_licence_is_there_and_named() -> None:
    assert "Apache License" in read("LICENSE")
    assert "Apache-2.0" in read("README.md")

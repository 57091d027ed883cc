"""What each route of the gateway is, for the documents that describe it to programs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from flask import Flask

from dicomweb.urls import ROOT

Schema = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Parameter:
    """A query parameter; `schema` is its JSON Schema, as a list of strings where it may be repeated."""

    name: str
    text: str
    schema: Schema = field(default_factory=lambda: {"type": "string"})
    is_required: bool = False


@dataclass(frozen=True, slots=True)
class Operation:
    """What a method of some routes does.

    `section`: of PS3.18, "" for what is our own. `produces` and `consumes` are media types, the preferred one first;
    `statuses` those that `produces` comes with, or nothing with 204. `schema`: of a JSON body.
    """

    text: str
    section: str = ""
    produces: tuple[str, ...] = ()
    statuses: tuple[int, ...] = (200,)
    parameters: tuple[Parameter, ...] = ()
    consumes: tuple[str, ...] = ()
    schema: Schema = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Described:
    """One method of one route: `path` with its variables in braces, below the DICOMweb root when `is_below_root`."""

    path: str
    method: str
    variables: tuple[str, ...]
    is_below_root: bool
    operation: Operation


UNKNOWN = Operation("Not described yet.")
"""What a route is that the table has forgotten; a test finds it."""

_NOT_SAID = frozenset({"OPTIONS"})


def described(app: Flask, table: Mapping[tuple[str, str], Operation]) -> Iterator[Described]:
    """Every method of every route of `app`, by path; `table` has them by method and path.

    HEAD is as GET; OPTIONS is told only where it is more than the list of methods.
    """
    for path, methods, variables in sorted(_routes(app)):
        for method in methods:
            known = table.get(("GET" if method == "HEAD" else method, path), UNKNOWN)
            is_below_root = path == ROOT or path.startswith(f"{ROOT}/")
            shown = path.removeprefix(ROOT) if is_below_root else path
            yield Described(shown or "/", method, variables, is_below_root, known)


def _routes(app: Flask) -> Iterator[tuple[str, tuple[str, ...], tuple[str, ...]]]:
    methods: dict[str, set[str]] = {}
    variables: dict[str, tuple[str, ...]] = {}
    for rule in app.url_map.iter_rules():
        path = readable(rule.rule)
        answers_options = not getattr(rule, "provide_automatic_options", True)
        said = (rule.methods or set()) - (set() if answers_options else _NOT_SAID)
        methods.setdefault(path, set()).update(said)
        variables[path] = tuple(_in_order(path, rule.arguments))
    for path, found in methods.items():
        yield path, tuple(sorted(found)), variables[path]


def readable(rule: str) -> str:
    """A route with its variables in braces: "/studies/{study}"."""
    return rule.replace("<path:", "<").replace("<", "{").replace(">", "}")


def _in_order(path: str, names: Iterable[str]) -> list[str]:
    return sorted((name for name in names if f"{{{name}}}" in path), key=path.index)

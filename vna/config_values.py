"""Turns TOML tables and environment variables into trees of frozen dataclasses."""

from __future__ import annotations

import dataclasses
import math
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path

from vna.errors import ConfigError

_T = typing.TypeVar("_T")
_SEPARATOR = "__"
_FROM_FILE = "_FILE"


def build(cls: type[_T], tree: Mapping[str, object], where: str = "") -> _T:
    """A `cls` from nested tables; `where` is the dotted prefix that messages show.

    Raises ConfigError for an unknown key, a missing one or a value of the wrong type.
    """
    known = typing.get_type_hints(cls)
    unknown = sorted(set(tree) - set(known))
    if unknown:
        raise ConfigError(
            f"unknown configuration key {where}{unknown[0]}; known here: {', '.join(sorted(known))}"
        )
    missing = sorted(_required(cls) - set(tree))
    if missing:
        raise ConfigError(f"configuration [{where.rstrip('.')}] lacks the key {missing[0]}")
    return cls(**{key: _convert(known[key], value, where + key) for key, value in tree.items()})


def merge(tree: dict[str, object], other: Mapping[str, object], where: str = "") -> None:
    """Lay `other` over `tree`, table by table; ConfigError where a value stands for a table."""
    for key, value in other.items():
        if not isinstance(value, Mapping):
            tree[key] = value
            continue
        branch = tree.setdefault(key, {})
        if not isinstance(branch, dict):
            raise ConfigError(f"{where}{key} must be a table, not {branch!r}")
        merge(branch, value, f"{where}{key}.")


def read_environment(cls: type, environment: Mapping[str, str], prefix: str) -> dict[str, object]:
    """The tables that `prefix`SECTION__KEY variables spell, for `build(cls, …)`.

    Sections and keys are known without regard to case; names that a user chose (AE titles, users,
    backend options) keep theirs. A name that ends in `_FILE` names a file that holds the value.
    Raises ConfigError for a name that fits nothing, or a key given two different values.
    """
    tree: dict[str, object] = {}
    for name, text in sorted(environment.items()):
        if not name.startswith(prefix):
            continue
        path, is_file = _path_of(cls, name, name.removeprefix(prefix).split(_SEPARATOR))
        value = _read_secret(name, text) if is_file else text
        branch = tree
        for part in path[:-1]:
            branch = typing.cast("dict[str, object]", branch.setdefault(part, {}))
        if branch.setdefault(path[-1], value) != value:
            raise ConfigError(f"environment variable {name} sets {'.'.join(path)} a second time")
    return tree


def _path_of(cls: type, name: str, parts: Sequence[str]) -> tuple[list[str], bool]:
    """The keys below `cls` that a variable's `parts` spell, and whether it names a file."""
    kind: typing.Any = cls
    path: list[str] = []
    is_file = False
    for position, part in enumerate(parts, 1):
        is_last = position == len(parts)
        if dataclasses.is_dataclass(kind):
            key, is_file, kind = _field_of(typing.cast("type", kind), part, is_last=is_last)
        elif _is_mapping(kind):
            is_file = is_last and part.endswith(_FROM_FILE)
            key = part.removesuffix(_FROM_FILE) if is_file else part
            kind = typing.get_args(kind)[1]
        else:
            raise ConfigError(f"environment variable {name}: {'.'.join(path)} is not a table")
        if not key or kind is None:
            raise ConfigError(f"environment variable {name} names no configuration key")
        path.append(key)
    if dataclasses.is_dataclass(kind) or _is_mapping(kind):
        raise ConfigError(f"environment variable {name} names a table; name one key of it")
    return path, is_file


def _field_of(cls: type, part: str, *, is_last: bool) -> tuple[str, bool, typing.Any]:
    """(field name, whether a file holds its value, its type or None for an unknown field)."""
    known = typing.get_type_hints(cls)
    key = part.lower()
    stem = key.removesuffix(_FROM_FILE.lower())
    if key not in known and is_last and stem in known:
        return stem, True, known[stem]
    return key, False, known.get(key)


def _read_secret(name: str, path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError as exc:
        raise ConfigError(f"{name} names {path!r}, which cannot be read: {exc.strerror}") from exc
    except ValueError as exc:
        raise ConfigError(f"{name} names {path!r}, which is not UTF-8 text") from exc


def _required(cls: type) -> set[str]:
    return {
        item.name
        for item in dataclasses.fields(cls)
        if item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING
    }


def _is_mapping(kind: typing.Any) -> bool:
    origin = typing.get_origin(kind)
    return isinstance(origin, type) and issubclass(origin, Mapping)


def _convert(kind: typing.Any, value: object, where: str) -> object:
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return build(kind, _table(value, where), where + ".")
    if _is_mapping(kind):
        _, item = typing.get_args(kind)
        return {k: _convert(item, v, f"{where}.{k}") for k, v in _table(value, where).items()}
    if typing.get_origin(kind) is tuple:
        return _strings(value, where)
    return _scalar(kind, value, where)


def _table(value: object, where: str) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise ConfigError(f"{where} must be a table, not {value!r}")
    return value


def _strings(value: object, where: str) -> tuple[str, ...]:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    if isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value):
        return tuple(value)
    raise ConfigError(f"{where} must be a list of strings, not {value!r}")


def _scalar(kind: type, value: object, where: str) -> object:
    if kind is bool and isinstance(value, str) and value.lower() in {"true", "false"}:
        return value.lower() == "true"
    if kind in {int, float}:
        return _number(kind, value, where)
    if kind is Path and isinstance(value, (str, Path)):
        return Path(value)
    if type(value) is kind:
        return value
    raise ConfigError(f"{where} must be of type {kind.__name__}, not {value!r}")


def _number(kind: type, value: object, where: str) -> object:
    """`value` as `kind` without losing anything: no bool, no fraction for an int, no infinity."""
    allowed = (str, int) if kind is int else (str, int, float)
    try:
        if isinstance(value, allowed) and not isinstance(value, bool):
            number = kind(value)
            if math.isfinite(number):
                return number
    except (ValueError, OverflowError):
        pass
    raise ConfigError(f"{where} must be a number ({kind.__name__}), not {value!r}")

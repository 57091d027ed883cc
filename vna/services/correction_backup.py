"""Corrections in a file of their own: what an index that is made anew of the objects alone could not know."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

import orjson

from storage_backends.base import Digest
from vna.errors import ConfigError
from vna.index.corrections import CorrectionIndex, id_of
from vna.model.corrections import correction_of, correction_tree

FORMAT = "vna corrections 1"
_AT_ONCE = 1000


def write_corrections(index: CorrectionIndex, file: BinaryIO) -> int:
    """Everything that is corrected, a line of JSON each, with a last one that tells how many; returns that.

    What is in memory does not grow with it. Raises Unavailable.
    """
    file.write(_line({"format": FORMAT}))
    count = 0
    with index.all() as (corrections, objects):
        file.writelines(
            _line({"id": id_of(one), "patch": correction_tree(one)}) for one in corrections
        )
        for digest, number in objects:
            file.write(
                _line({"object": f"{digest.algorithm}:{digest.value}", "correction": number})
            )
            count += 1
    file.write(_line({"objects": count}))
    return count


def read_corrections(index: CorrectionIndex, lines: Iterable[bytes], name: str) -> int:
    """Take in what `write_corrections` wrote; how many objects that were. Harmless to repeat.

    Raises ConfigError, naming the line, for a file that is another, is damaged or has no end; Unavailable.
    """
    count, batch = 0, list[tuple[Digest, int]]()
    for found in _objects(index, lines, name):
        count += 1
        batch.append(found)
        if len(batch) == _AT_ONCE:
            index.tell(batch)
            batch.clear()
    index.tell(batch)
    return count


def _objects(
    index: CorrectionIndex, lines: Iterable[bytes], name: str
) -> Iterator[tuple[Digest, int]]:
    """The objects; the corrections are kept as they come."""
    known: set[int] = set()
    count, is_whole = 0, False
    for number, line in enumerate(lines, 1):
        where = f"{name}, line {number}"
        entry = _entry(line, where)
        if (number == 1) != (entry.get("format") == FORMAT) or is_whole:
            raise ConfigError(f"{where}: this is no file of `vna db corrections export`")
        if "patch" in entry:
            known.add(_kept(index, entry, where))
        elif "object" in entry:
            count += 1
            yield _object(entry, known, where)
        elif "objects" in entry:
            is_whole = entry["objects"] == count
    if not is_whole:
        raise ConfigError(f"{name}: its end is missing: export the corrections again")


def _entry(line: bytes, where: str) -> dict[str, Any]:
    try:
        entry = orjson.loads(line)
    except orjson.JSONDecodeError:
        entry = None
    if not isinstance(entry, dict):
        raise ConfigError(f"{where}: this is no object of JSON")
    return entry


def _kept(index: CorrectionIndex, entry: dict[str, Any], where: str) -> int:
    try:
        correction = correction_of(entry["patch"])
    except (KeyError, TypeError, ValueError, AttributeError):
        raise ConfigError(f"{where}: this is no correction") from None
    if id_of(correction) != entry.get("id"):
        raise ConfigError(f"{where}: the correction was changed: its id is of another one")
    return index.keep(correction)


def _object(entry: dict[str, Any], known: set[int], where: str) -> tuple[Digest, int]:
    algorithm, _, value = str(entry["object"]).partition(":")
    number = entry.get("correction")
    try:
        digest = Digest(algorithm, bytes.fromhex(value).hex())
    except ValueError:
        digest = Digest("", "")
    if number not in known or not digest.algorithm or not digest.value:
        raise ConfigError(f"{where}: the object has no digest, or a correction that is not above")
    return digest, int(number)


def _line(entry: dict[str, Any]) -> bytes:
    return orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE)

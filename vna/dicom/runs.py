"""A header in runs of a few elements, so that what repeats from object to object is read once."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from vna.dicom.elements import Scanner, Token
from vna.dicom.encoding import Buffer, Encoding
from vna.model.query import JsonElement

MAX_RUN_ELEMENTS = 8
MAX_KEPT_BYTES = 128 * 2**10
"""Headers longer than this (documents, waveforms) are not remembered."""
STEADY = 8
"""Neighbouring runs that have repeated so often become one: what changes now and then would tear it apart again."""
_DELIMITER_LENGTH = 8
_GROWTH = 1024
"""By so much a header may be longer than the one before without being walked again."""


@dataclass(frozen=True, slots=True)
class Values:
    """What the index keeps of a run read with these `charsets`: per level the attributes, and bytes
    that differ whenever those differ (not for the instance level, which never repeats).
    """

    charsets: Sequence[str]
    levels: tuple[dict[str, JsonElement], ...]
    keys: tuple[bytes, ...]
    warnings: tuple[str, ...]


class Run:
    """Consecutive elements; the tokens' offsets are positions in `data`, which holds nothing else
    when the run may be remembered. `first` and `last` are the outer tags of an ascending run.
    `values` is filled by whoever reads them; `repeated`: how often it has stood in the next object too.
    """

    __slots__ = ("data", "first", "last", "repeated", "tokens", "values")

    def __init__(self, data: Buffer, tokens: dict[int, Token]) -> None:
        self.data = data
        self.tokens = tokens
        self.first = next(iter(tokens), 0)
        self.last = next(reversed(tokens), 0)
        self.repeated = 0
        self.values: Values | None = None


class Elements:
    """The elements of one dataset by tag; those of later runs count where earlier ones have none."""

    __slots__ = ("_firsts", "_more", "runs")

    def __init__(self, runs: list[Run]) -> None:
        self.runs = runs
        self._firsts = [run.first for run in runs] if len(runs) != 1 else [0]
        self._more: list[Run] = []

    def find(self, tag: int) -> tuple[Buffer, Token] | None:
        """The element and the buffer in which its offset counts."""
        position = bisect_right(self._firsts, tag) - 1
        found = self._in(self.runs[position], tag) if position >= 0 else None
        if found is None:
            for run in self._more:
                found = found or self._in(run, tag)
        return found

    def __contains__(self, tag: int) -> bool:
        return self.find(tag) is not None

    def __bool__(self) -> bool:
        return any(run.tokens for run in self.runs)

    def add(self, buffer: Buffer, tokens: Iterable[Token]) -> None:
        """Further elements, which may have any tag."""
        fresh = {token[0]: token for token in tokens if token[0] not in self}
        self._more.append(Run(buffer, fresh))

    def all_runs(self) -> list[Run]:
        """Every run, the added ones last."""
        return [*self.runs, *self._more]

    @staticmethod
    def _in(run: Run, tag: int) -> tuple[Buffer, Token] | None:
        token = run.tokens.get(tag)
        return None if token is None else (run.data, token)


def is_ascending(tokens: Sequence[Token]) -> bool:
    """Whether each tag is above the one before it, as the standard has it (PS3.5 7.1)."""
    return all(a[0] < b[0] for a, b in pairwise(tokens))


def cut(buffer: Buffer, span: tuple[int, int], tokens: Sequence[Token]) -> list[Run]:
    """The elements of the `span` (start, end), which holds nothing else, in runs of a few."""
    groups = [tokens[at : at + MAX_RUN_ELEMENTS] for at in range(0, len(tokens), MAX_RUN_ELEMENTS)]
    return _runs(buffer, span, groups)


def _cut_like(
    buffer: Buffer, span: tuple[int, int], tokens: Sequence[Token], old: Run
) -> list[Run]:
    """As `cut`, elements that repeat those of `old` apart from those that do not: mostly the same
    ones will differ in the next object.
    """

    def repeats(token: Token) -> bool:
        tag, _, offset, length, _ = token
        known = old.tokens.get(tag)
        if known is None or known[3] != length:
            return False
        return bytes(buffer[offset : offset + length]) == old.data[known[2] : known[2] + length]

    groups: list[Sequence[Token]] = []
    for _, alike in groupby(tokens, repeats):
        found = list(alike)
        groups += [found[i : i + MAX_RUN_ELEMENTS] for i in range(0, len(found), MAX_RUN_ELEMENTS)]
    return _runs(buffer, span, groups)


def _runs(buffer: Buffer, span: tuple[int, int], groups: list[Sequence[Token]]) -> list[Run]:
    if not groups:
        return []
    starts = [span[0], *(_following(group[-1]) for group in groups[:-1]), span[1]]
    return [
        _run(buffer, start, end, group)
        for group, (start, end) in zip(groups, pairwise(starts), strict=True)
    ]


def _run(buffer: Buffer, start: int, end: int, tokens: Sequence[Token]) -> Run:
    moved = {
        tag: (tag, vr, offset - start, length, undefined)
        for tag, vr, offset, length, undefined in tokens
    }
    return Run(bytes(buffer[start:end]), moved)


def _repeat(runs: list[Run], run: Run) -> None:
    """Append a run that repeats; to the one before it where both have done so for long."""
    run.repeated += 1
    before = runs[-1] if runs else None
    if before is None or min(run.repeated, before.repeated) < STEADY:
        runs.append(run)
        return
    shift = len(before.data)
    moved = {
        tag: (tag, vr, offset + shift, length, undefined)
        for tag, vr, offset, length, undefined in run.tokens.values()
    }
    runs[-1] = Run(bytes(before.data) + bytes(run.data), before.tokens | moved)
    runs[-1].repeated = STEADY


def _following(token: Token) -> int:
    """Where the element behind a regular one begins (PS3.5 7.1.1, 7.5.2)."""
    return token[2] + token[3] + (_DELIMITER_LENGTH if token[4] else 0)


def follow(
    buffer: Buffer, start: int, encoding: Encoding, known: Sequence[Run]
) -> tuple[list[Run], int] | None:
    """The runs of the dataset at `start`, those that repeat `known` ones being the same objects,
    and where the walk ended.

    The result is that of a whole walk. None: something is odd, the whole walk has to tell what.
    """
    end = len(buffer)
    scanner = Scanner(buffer)
    length = sum([len(run.data) for run in known])
    head = bytes(buffer[start : start + length + _GROWTH])
    runs: list[Run] = []
    position = start
    for run, stop_tag in zip(known, [*(run.first for run in known[1:]), 0x7FE00000], strict=True):
        if head.startswith(bytes(run.data), position - start):
            position += len(run.data)
            _repeat(runs, run)
            continue
        tokens, stop = scanner.elements(position, end, encoding, stop_tag=stop_tag)
        if stop - start > MAX_KEPT_BYTES or not is_ascending(tokens):
            return None
        if len(run.tokens) == 1 == len(tokens):
            runs.append(_run(buffer, position, stop, tokens))
        else:
            runs += _cut_like(buffer, (position, stop), tokens, run)
        position = stop
    tokens, stop = scanner.elements(position, end, encoding, stop_at_pixels=True)
    if stop - start > MAX_KEPT_BYTES or not is_ascending(tokens):
        return None
    runs += cut(buffer, (position, stop), tokens)
    is_odd = scanner.warnings or scanner.truncated
    if is_odd or any(a.last >= b.first for a, b in pairwise(runs)):
        return None
    return runs, stop

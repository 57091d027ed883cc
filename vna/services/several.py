"""Work on many things, several at a time, the results in order: for what waits more than it computes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TypeVar

from vna.interrupts import check_interrupt
from vna.services.at_once import AtOnce

AT_ONCE = 8
GROUP = 16
GROUP_BYTES = 2**20
_FEW = 8

T = TypeVar("T")
R = TypeVar("R")


def several(
    work: Callable[[T], R], items: Sequence[T], size: Callable[[T], int], at_once: int = AT_ONCE
) -> Iterator[R]:
    """What `work` gives for each of `items`, in their order; `size` is what it holds meanwhile, in bytes.

    Groups of up to GROUP items, or GROUP_BYTES, are worked on by `at_once` threads; as many wait to be
    taken. Raises what `work` raises at the place of its item, and Abandoned between two groups.
    """
    if len(items) <= _FEW or at_once <= 1:
        for item in items:
            check_interrupt()
            yield work(item)
        return
    with AtOnce(at_once, "several", ahead=at_once + 1) as threads:
        groups = (partial(_all, work, group) for group in _groups(items, size))
        for found in threads.results(groups):
            yield from found


def _all(work: Callable[[T], R], group: Sequence[T]) -> list[R]:
    return [work(item) for item in group]


def _groups(items: Sequence[T], size: Callable[[T], int]) -> Iterator[list[T]]:
    group: list[T] = []
    held = 0
    for item in items:
        group.append(item)
        held += size(item)
        if len(group) == GROUP or held >= GROUP_BYTES:
            yield group
            group, held = [], 0
    if group:
        yield group

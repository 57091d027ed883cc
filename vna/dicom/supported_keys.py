"""Which keys of a query the index can match: the others count as universal (PS3.4 C.2.2.1.3)."""

from __future__ import annotations

from collections.abc import Iterable

from vna.dicom.attributes import BY_TAG, SEQUENCE_MEMBERS
from vna.model.query import Filter, ItemMatch


def supported(filters: Iterable[Filter]) -> tuple[tuple[Filter, ...], tuple[int, ...]]:
    """`filters` without those on what the index does not keep, and the tags of these, also in items."""
    kept: list[Filter] = []
    unknown: list[int] = []
    for item in filters:
        if item.tag in BY_TAG:
            _keep(item, kept, unknown)
        else:
            unknown.append(item.tag)
    return tuple(kept), tuple(unknown)


def _keep(item: Filter, kept: list[Filter], unknown: list[int]) -> None:
    if not isinstance(item.match, ItemMatch):
        kept.append(item)
        return
    members: list[Filter] = []
    for member in item.match.filters:
        if member.tag in SEQUENCE_MEMBERS:
            _keep(member, members, unknown)
        else:
            unknown.append(member.tag)
    if members:
        kept.append(Filter(item.tag, ItemMatch(tuple(members))))

"""Reads of an encoded dataset only what rendering needs, which is a small part of many a header."""

from __future__ import annotations

from vna.dicom.deflate import MAX_HEADER_BYTES, inflated_object
from vna.dicom.elements import PIXEL_TAGS, Scanner, Token
from vna.dicom.encoding import Buffer, Encoding
from vna.dicom.envelope import DEFLATED_UIDS, dataset_start, find_syntax
from vna.dicom.json_writer import JsonWriter, Place
from vna.dicom.rendering.header import (
    FRAME_GROUPS,
    ICC_PROFILE,
    MACROS,
    OPTICAL_PATHS,
    SHARED_GROUPS,
    RelevantHeader,
    is_relevant,
    relevant_header,
)
from vna.model.query import JsonElement

MAX_VALUE = 32 * 2**20
"""Bytes of the longest value that is taken; a longer one counts as absent."""

_SHORTEST_HEADER = 8
_OF_ITEMS = {
    SHARED_GROUPS: frozenset(MACROS),
    FRAME_GROUPS: frozenset(MACROS),
    OPTICAL_PATHS: frozenset({ICC_PROFILE}),
}
"""What is taken of the items of these sequences."""


def read_relevant(
    buffer: Buffer,
    *,
    dataset_offset: int,
    transfer_syntax_uid: str,
    stop: int,
    tail: int | None = None,
) -> RelevantHeader:
    """What rendering needs of the dataset from `dataset_offset` to `stop`, where its pixel data begin, and
    from `tail` (None: nothing) to the end of the buffer. Never raises.
    """
    syntax = find_syntax(buffer, dataset_offset, transfer_syntax_uid)
    if syntax.deflated:
        buffer = inflated_object(buffer, dataset_offset, MAX_HEADER_BYTES)
        if syntax.transfer_syntax_uid not in DEFLATED_UIDS:  # positions mean nothing
            stop, tail = len(buffer), None
    scanner, encoding = Scanner(buffer), syntax.encoding
    start = dataset_start(buffer, dataset_offset)
    tokens, _ = scanner.elements(start, min(stop, len(buffer)), encoding)
    end = len(buffer) if tail is None else min(tail, len(buffer))
    pixels = _pixel_element(scanner, stop, end, encoding)
    if tail is not None:
        tokens += scanner.elements(tail, len(buffer), encoding)[0]
    return relevant_header({**_Writer(scanner, None).dataset(tokens, encoding, Place()), **pixels})


class _Writer(JsonWriter):
    """Passes over what is not needed, before it is looked at."""

    __slots__ = ()

    def dataset(
        self, tokens: list[Token], encoding: Encoding, place: Place
    ) -> dict[str, JsonElement]:
        return super().dataset([one for one in tokens if _is_wanted(one, place)], encoding, place)


def _is_wanted(token: Token, place: Place) -> bool:
    tag, vr, _, length, _ = token
    if length > MAX_VALUE and vr != "SQ":
        return False
    if place.depth == 0:
        return tag not in PIXEL_TAGS and is_relevant(tag)
    wanted = _OF_ITEMS.get(place.path[:8]) if place.depth == 1 else None
    return wanted is None or f"{tag:08X}" in wanted


def _pixel_element(
    scanner: Scanner, position: int, end: int, encoding: Encoding
) -> dict[str, JsonElement]:
    """Which of the three elements for pixels there is, without its value."""
    if position + _SHORTEST_HEADER > end:
        return {}
    token = scanner.element_at(position, end, encoding)
    return {f"{token[0]:08X}": {"vr": token[1]}} if token[0] in PIXEL_TAGS else {}

"""In which character sets new texts can stand among those of a dataset whose bytes stay (PS3.3 C.12.1.1.2)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from vna.dicom.charset import UNICODE, parse_charsets, usable_charsets
from vna.dicom.coded_sets import STAND_ALONE
from vna.dicom.element_writer import Chunk
from vna.dicom.elements import Scanner, Token
from vna.dicom.encoding import Encoding
from vna.dicom.from_json import chunks_in
from vna.dicom.vrs import CHARSET_VRS
from vna.errors import InvalidInstance
from vna.model.query import JsonElement

_EXTENSIONS = (100, 101, 144, 126, 127, 138, 148, 109, 110, 203, 166, 87, 159, 149, 58)
"""The numbers of the sets that texts may switch to, the commonest first."""
_MAX_DEPTH = 16


def texts_in(elements: Mapping[str, JsonElement], charsets: tuple[str, ...]) -> list[Chunk] | None:
    """`elements` in explicit little endian, their texts under this label; None where it lacks a character."""
    usable = usable_charsets(charsets)
    try:
        return chunks_in(elements, usable if usable == charsets else ())
    except InvalidInstance as exc:
        raise InvalidInstance(f"the correction can't be written: {exc}") from exc


def widened(
    elements: Mapping[str, JsonElement],
    charsets: tuple[str, ...],
    scanner: Scanner,
    tokens: Iterable[Token],
    encoding: Encoding,
) -> tuple[list[Chunk], tuple[str, ...]]:
    """As `texts_in`, under a label that has all their characters and means the same for the texts of `tokens`.

    UTF-8 where those are ASCII; else further sets, to which the new texts switch. Raises InvalidInstance.
    """
    for label in _labels(charsets, is_ascii=_is_ascii(scanner, tokens, encoding)):
        chunks = texts_in(elements, label)
        if chunks is not None:
            return chunks, label
    named = "\\".join(charsets) or "none"
    raise InvalidInstance(
        f"new texts can't stand beside those of its Specific Character Set ({named}): declare the true one"
    )


def _labels(charsets: tuple[str, ...], *, is_ascii: bool) -> Iterator[tuple[str, ...]]:
    if is_ascii:
        yield (UNICODE,)
    if usable_charsets(charsets) == charsets and charsets[0] not in STAND_ALONE:
        for number in _EXTENSIONS:
            terms = usable_charsets((*charsets, *parse_charsets(b"ISO 2022 IR %d" % number)))
            if len(terms) > 1:
                yield terms


def _is_ascii(
    scanner: Scanner, tokens: Iterable[Token], encoding: Encoding, depth: int = 0
) -> bool:
    for token in tokens:
        _, vr, offset, length, _ = token
        if vr in CHARSET_VRS:
            value = bytes(scanner.buffer[offset : offset + length])
            if not value.isascii() or b"\x1b" in value:
                return False
        elif vr == "SQ":
            inside = scanner.children_encoding(token, encoding)
            for start, stop in scanner.items(token, encoding):
                members = scanner.elements(start, stop, inside)[0]
                if depth > _MAX_DEPTH or not _is_ascii(scanner, members, inside, depth + 1):
                    return False
    return True

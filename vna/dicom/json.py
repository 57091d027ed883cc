"""Encoded datasets as DICOM JSON (PS3.18 F.2), and the bytes that a bulk data path means."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from vna.dicom.deflate import MAX_HEADER_BYTES, inflated_object
from vna.dicom.elements import PIXEL_TAGS, Scanner, Token
from vna.dicom.encoding import Buffer, Encoding
from vna.dicom.envelope import DEFLATED_UIDS, Syntax, dataset_start, find_syntax
from vna.dicom.json_writer import BULK_THRESHOLD, MAX_DEPTH, JsonWriter, Place
from vna.dicom.vrs import SEVERAL_VRS
from vna.errors import NotFound, Unsupported
from vna.model.query import JsonElement

__all__ = [
    "BULK_THRESHOLD",
    "JSON_VERSION",
    "MAX_DEPTH",
    "ElementSpan",
    "dataset_json",
    "find_element",
]

JSON_VERSION = 3
"""Counts the changes of what this module writes for the same bytes: caches and entity tags hold it."""

_PIXEL_HEADER = 16
_SHORTEST_HEADER = 8


@dataclass(frozen=True, slots=True)
class ElementSpan:
    """Where a value lies in the object (a deflated one: inflated, see `inflated_object`), in bytes.

    `is_encapsulated`: the value is a run of items (an offset table and fragments), without the
    delimiter. `big_endian`: words have to be swapped before they are served (F.2.7).
    """

    offset: int
    length: int
    vr: str
    is_encapsulated: bool
    big_endian: bool = False


def dataset_json(
    buffer: Buffer,
    *,
    dataset_offset: int,
    transfer_syntax_uid: str,
    stop: int | None = None,
    tail: int | None = None,
    bulk_uri: Callable[[str], str] | None = None,
) -> dict[str, JsonElement]:
    """The dataset from `dataset_offset` to `stop` (None: its end), ordered by tag. Never raises.

    Binary values longer than BULK_THRESHOLD bytes, and pixel data of any length, become a
    BulkDataURI made by `bulk_uri` from their path ("7FE00010", "54000100/0/54001010"); without
    `bulk_uri` everything is inline. When a pixel data element begins at `stop`, with 16 bytes of it
    or all it has in the buffer, it is listed too; so are the elements from `tail` (None: there is
    none) to the end of the buffer. Group lengths, groups 0000 and 0002, delimiters and padding are
    left out; sequences deeper than MAX_DEPTH have no value. With `Remembering` for `bulk_uri`,
    elements are shared with other datasets and must not be changed.
    """
    found = find_syntax(buffer, dataset_offset, transfer_syntax_uid)
    if _is_opaque(found):
        stop = tail = None
    limit = MAX_HEADER_BYTES if stop is None else stop - dataset_offset + _PIXEL_HEADER
    buffer, syntax = _plain(buffer, dataset_offset, found, limit)
    end = len(buffer) if stop is None else min(stop, len(buffer))
    writer = JsonWriter(Scanner(buffer), bulk_uri)
    start = dataset_start(buffer, dataset_offset)
    tokens, _ = writer.scanner.elements(start, end, syntax)
    pixel_end = len(buffer) if tail is None else min(tail, len(buffer))
    if stop is not None and stop + _SHORTEST_HEADER <= pixel_end and bulk_uri is not None:
        token = writer.scanner.element_at(stop, pixel_end, syntax)
        tokens += [token] if token[0] in PIXEL_TAGS else []
    if tail is not None:
        tokens += writer.scanner.elements(tail, len(buffer), syntax)[0]
    return writer.dataset(tokens, syntax, Place())


def find_element(
    buffer: Buffer,
    *,
    dataset_offset: int,
    transfer_syntax_uid: str,
    path: str,
    stop: int | None = None,
    tail: int | None = None,
) -> ElementSpan:
    """Where the value lies that `path` means; `stop` and `tail` as in `dataset_json`.

    Raises NotFound for a path that leads nowhere, Unsupported where positions mean nothing.
    """
    found = find_syntax(buffer, dataset_offset, transfer_syntax_uid)
    if _is_opaque(found):
        uid = found.transfer_syntax_uid
        raise Unsupported(f"the dataset is deflated, which {uid} does not say: fetch the instance")
    buffer, encoding = _plain(buffer, dataset_offset, found, MAX_HEADER_BYTES)
    scanner = Scanner(buffer)
    end = len(buffer) if stop is None else min(stop, len(buffer))
    spans = [(dataset_start(buffer, dataset_offset), end)]
    if tail is not None:
        spans.append((tail, len(buffer)))
    steps = path.split("/")
    if len(steps) > 2 * MAX_DEPTH + 1 or len(steps) % 2 == 0:
        raise NotFound(f"no element {path[:80]!r}")
    for tag, number in zip(steps[::2], [*steps[1::2], ""], strict=True):
        token = _find(scanner, spans, encoding, tag)
        if number == "":
            vr = _span_vr(token, encoding)
            return ElementSpan(token[2], token[3], vr, token[4] and vr != "SQ", encoding.big_endian)
        encoding = scanner.children_encoding(token, encoding)
        spans = [_item(scanner, token, encoding, number)]
    raise NotFound(f"no element {path!r}")


def _is_opaque(syntax: Syntax) -> bool:
    """Deflated under a label of something else: the layout does not count in inflated bytes."""
    return syntax.deflated and syntax.transfer_syntax_uid not in DEFLATED_UIDS


def _plain(
    buffer: Buffer, dataset_offset: int, syntax: Syntax, limit: int
) -> tuple[Buffer, Encoding]:
    if syntax.deflated:
        return inflated_object(buffer, dataset_offset, limit), syntax.encoding
    return buffer, syntax.encoding


def _find(scanner: Scanner, spans: list[tuple[int, int]], encoding: Encoding, tag: str) -> Token:
    for position, end in reversed(spans):
        tokens, _ = scanner.elements(position, end, encoding)
        for token in reversed(tokens):
            if f"{token[0]:08X}" == tag.upper():
                return token
    raise NotFound(f"no element {tag[:16]!r}")


def _item(scanner: Scanner, token: Token, encoding: Encoding, number: str) -> tuple[int, int]:
    if number.isascii() and number.isdigit() and len(number) < 9:
        for index, span in enumerate(scanner.items(token, encoding)):
            if index == int(number):
                return span
    raise NotFound(f"no item {number[:16]!r} of {token[0]:08X}")


def _span_vr(token: Token, encoding: Encoding) -> str:
    tag, vr, _, _, undefined = token
    if tag in PIXEL_TAGS and undefined:
        return "OB"
    if encoding.implicit and SEVERAL_VRS.get(tag, "").endswith("OW"):
        return "OW"
    return vr

"""What must hold when objects are read, whatever their bytes are."""

from __future__ import annotations

import gzip
import struct
import zlib
from functools import lru_cache
from typing import Any

import orjson

from tests.fuzz import seeds
from tests.samples import DEFLATED, EXPLICIT, deflate
from vna.dicom.charset import decode, encode, parse_charsets, usable_charsets
from vna.dicom.codestream import (
    frame_fragments,
    item_spans,
    read_codestream,
    split_items,
)
from vna.dicom.deflate import MAX_HEADER_BYTES, inflate, inflated_object
from vna.dicom.elements import Scanner
from vna.dicom.encoding import BY_CODE, Encoding
from vna.dicom.envelope import DEFLATED_UIDS, read_envelope
from vna.dicom.extraction import source_of
from vna.dicom.frame_keys import ExtractionFailed
from vna.dicom.frames import PixelFacts, encapsulated_pixels, native_pixels
from vna.dicom.header import Header, HeaderReader
from vna.dicom.inflation import inflated_pieces
from vna.dicom.json import dataset_json, find_element
from vna.dicom.part10 import file_meta
from vna.dicom.person_names import names_by_key, tokens_of, wanted
from vna.dicom.pixels import transcode
from vna.errors import InvalidInstance, Unsupported
from vna.model.frames import FrameTable, pack_frames, unpack_frames
from vna.model.query import AnyOf, SingleValue, Wildcard
from vna.services.pixels import PIXEL_DATA_PATHS

_MAX_DEPTH = 8
_MAX_BYTES = 2**20
_PIXEL_HEADER = 16
_PACKERS = (deflate, zlib.compress, gzip.compress, bytes)
_UNPACK = struct.Struct("<HHHBB").unpack_from


def expansion(data: bytes) -> int:
    """Into how many bytes a deflated dataset unfolds; each reading may hold them a few times."""
    offset = read_envelope(data).dataset_offset
    return max(len(inflate(data, at, MAX_HEADER_BYTES).data) for at in {0, offset})


def twice(data: bytes) -> int:
    """The expansion of a target that deflates its input."""
    return 2 * len(data)


def header(data: bytes) -> None:
    """A header is read or refused, the same each time, and its layout lies within the object."""
    found = _read(HeaderReader(), data)
    if found is None:
        return
    assert repr(_read(HeaderReader(), memoryview(data))) == repr(found)
    layout = found.layout
    assert 0 <= layout.dataset_offset <= len(data)
    assert layout.dataset_offset <= layout.header_length
    assert layout.header_length <= layout.tail_offset or layout.tail_offset == 0
    assert (
        layout.pixel_offset == -1 or layout.pixel_offset + layout.pixel_length <= layout.tail_offset
    )
    if found.frames is not None:
        _check_frames(found.frames, layout.pixel_offset, layout.tail_offset)
    names_by_key(found.attributes.patient, found.attributes.study)
    for level in (found.attributes.patient, found.attributes.study, found.attributes.series):
        assert b"\\u0000" not in orjson.dumps(level)
    orjson.dumps(found.attributes.instance)


def remembered(data: bytes) -> None:
    """Who reads one object after the other reads each as if it were the first."""
    reader = HeaderReader()
    neighbour = bytearray(data)
    if data:
        at = (data[-1] << 8 | data[len(data) // 2]) % len(data)
        neighbour[at] ^= 1
    for other in (bytes(neighbour), data, data, bytes(neighbour), data + data[-20:]):
        assert repr(_read(reader, other)) == repr(_read(HeaderReader(), other))


def deflated(data: bytes) -> None:
    """A deflated dataset is read as what it holds, whatever is wrapped around it, and in whatever pieces."""
    kind, plain = data[:1], data[1:]
    packed = _PACKERS[kind[0] % len(_PACKERS)](plain) if kind else b""
    whole = inflate(packed, 0).data
    for size in (_MAX_BYTES, 64 * 2**10):
        pieces = [packed[at : at + size] for at in range(0, len(packed), size)]
        assert b"".join(inflated_pieces(pieces)) == whole
    found = _read(HeaderReader(), file_meta("1.2", "1.2.3", DEFLATED) + packed)
    if found is not None:
        _jsons(file_meta("1.2", "1.2.3", DEFLATED) + packed, found)


def elements(data: bytes) -> None:
    """Every element and item lies within what it is part of, in each encoding."""
    for encoding in BY_CODE:
        scanner = Scanner(data)
        _walk(scanner, 0, len(data), encoding, 0)


def json(data: bytes) -> None:
    """DICOM JSON can always be written, and each of its bulk data paths leads to a value."""
    found = _read(HeaderReader(), data)
    if found is not None:
        _jsons(data, found)
    for uid in seeds.SYNTAXES:
        keys = dataset_json(data, dataset_offset=0, transfer_syntax_uid=uid)
        assert orjson.dumps(keys) == orjson.dumps(
            dataset_json(data, dataset_offset=0, transfer_syntax_uid=uid)
        )


def rewrite(data: bytes) -> None:
    """An object is rewritten in another syntax, or it is said that it can't be."""
    found = _read(HeaderReader(), data)
    if found is None:
        return
    offset, uid = found.layout.dataset_offset, found.transfer_syntax_uid
    for target in seeds.SYNTAXES[:3] if uid in seeds.SYNTAXES else ():
        try:
            written = transcode(
                data,
                dataset_offset=offset,
                transfer_syntax_uid=uid,
                target=target,
                max_bytes=_MAX_BYTES,
            )
        except Unsupported:
            continue
        again = transcode(
            written,
            dataset_offset=0,
            transfer_syntax_uid=target,
            target=target,
            max_bytes=_MAX_BYTES,
        )
        assert again == written
    head = data[offset : found.layout.header_length]
    try:
        source_of(head, data[found.layout.header_length :][:16].ljust(16, b"\0"), uid)
    except ExtractionFailed:
        return


def charset(data: bytes) -> None:
    """Text is always text, and what is written in a character set is read in it as it was."""
    label, _, value = data.partition(b"\n")
    warnings: list[str] = []
    terms = parse_charsets(label, warnings)
    assert terms == parse_charsets(label)
    for vr in ("PN", "LO", "UT"):
        text = decode(value, terms, warnings, vr=vr)
        assert text == decode(value, terms, vr=vr)
        usable = usable_charsets(terms)
        written = encode(text, usable, vr) if usable else None
        if written is not None:
            assert decode(written, usable, vr=vr) == text


def names(data: bytes) -> None:
    """A name is always found by itself, and a query for one is a query that Postgres can parse."""
    text = data.decode("utf-8", "replace")
    groups = dict(zip(("Alphabetic", "Ideographic", "Phonetic"), text.split("="), strict=False))
    tokens = tokens_of({"vr": "PN", "Value": [groups]})
    assert tokens == sorted(set(tokens))
    for match in (SingleValue(text), Wildcard(text), AnyOf(tuple(text.split("\\")))):
        query = wanted(0x00100010, match)
        assert query is None or query.count("(") == query.count(")") or "'" in query


def fragments(data: bytes) -> None:
    """Frame tables point into the object; codestreams are described or not."""
    rows, columns, bits, samples, count = _UNPACK(data.ljust(8, b"\0"))
    value = data[8:]
    facts = PixelFacts(rows, columns, samples, bits, "YBR_FULL_422", count)
    for is_stream in (False, True):
        pixels = encapsulated_pixels(
            value, 0, count, is_stream=is_stream, extended=(value[:64], value[64:128])
        )
        assert 0 <= pixels.length <= len(value)
        assert pixels.length <= pixels.tail_offset <= len(value)
        if pixels.frames is not None:
            _check_frames(pixels.frames, 0, len(value))
    native = native_pixels(0, rows * columns, len(value), facts)
    if native.frames is not None:
        _check_frames(native.frames, 0, len(value))
    assert sum(map(len, split_items(value))) <= len(value)
    assert all(a <= b <= c <= len(value) for a, b, c in item_spans(value))
    for parts in frame_fragments(memoryview(value), count):
        assert all(len(part) <= len(value) for part in parts)
    read_codestream(value)


# --- seeds ----------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def bare_seeds() -> list[bytes]:
    """Datasets without what stands before them."""
    made = [data for data in seeds.made_objects() if data[132:]]
    offsets = [read_envelope(data).dataset_offset for data in made]
    return [data[offset:] for data, offset in zip(made, offsets, strict=True)]


def packed_seeds() -> list[bytes]:
    """How it is packed, then a dataset."""
    return [bytes([number % len(_PACKERS)]) + data for number, data in enumerate(bare_seeds())]


def charset_seeds() -> list[bytes]:
    """A label, a line end, the text."""
    return [
        b"ISO_IR 100\nBuc^J\xe9r\xf4me",
        b"ISO_IR 192\n" + "Wang^XiaoDong=王^小东".encode(),
        b"\\ISO 2022 IR 87\nYamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B",
        b"ISO_IR 13\\ISO 2022 IR 87\n\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J",
        b"\\ISO 2022 IR 149\nHong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7",
        b"\\ISO 2022 IR 58\n\x1b$)A\xd0\xa1\xb6\xab",
        b"GB18030\n" + "王^小东".encode("gb18030"),
        b"ISO_IR 144\n\xbb\xee\xda\xe7\x65\xdc\xd1\xcb\xd8\xd9",
        b"ISO 2022 IR 6\\ISO 2022 IR 127\n\x1b-G\xe2\xc8\xc7\xe6\xea",
        b"ISO_IR 87\nplain",
        b"utf8\n\xc3\xa9\xff",
    ]


def name_seeds() -> list[bytes]:
    """Names as UTF-8."""
    names = (
        "Müller-Lüdenscheidt^Karl^^Dr^Jr",
        "O'Brien^Mac*",
        "山田^太郎=やまだ^たろう",
        "?*",
        "van der Berg^Ann",
    )
    return [name.encode() for name in names]


def fragment_seeds() -> list[bytes]:
    """Facts of an image, then items."""
    jpeg = b"\xff\xd8\xff\xe0\0\x08JFIF\0\0\xff\xc0\0\x0b\x08\0\x04\0\x04\x01\x01\x11\0"
    jpeg += b"\xff\xda\0\x08\1\1\0\0\x3f\0ab\xff\xd9"
    siz = struct.pack(">HHHIIII", 0xFF51, 41, 0, 4, 4, 0, 0) + struct.pack(">IIIIH", 4, 4, 0, 0, 1)
    items = [
        [b"", jpeg, jpeg],
        [struct.pack("<II", 0, 8 + len(jpeg) + len(jpeg) % 2), jpeg, jpeg],
        [b"", b"\xff\x4f" + siz + b"\7\1\1"],
        [b"", b"ab", b"cd", b"ef"],
    ]
    facts = struct.pack("<HHHBB", 4, 4, 8, 1, 2)
    made = [b"".join(map(_item, parts)) + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0) for parts in items]
    return [facts + value for value in made] + [facts + jpeg, facts + b"\xff\x4f" + siz]


_Where = dict[str, Any]


# --- helpers --------------------------------------------------------------------------------------


def _item(data: bytes) -> bytes:
    data += bytes(len(data) % 2)
    return struct.pack("<HHI", 0xFFFE, 0xE000, len(data)) + data


def _read(reader: HeaderReader, data: bytes | memoryview) -> Header | None:
    """With what a C-STORE announces, so that more than whole objects is read to its end."""
    try:
        return reader.read(data, sop_instance_uid="1.2.3", sop_class_uid="1.2")
    except InvalidInstance:
        return None


def _check_frames(frames: FrameTable, first: int, last: int) -> None:
    assert frames.count >= 1
    assert unpack_frames(pack_frames(frames)) == frames
    for number in {1, frames.count}:
        offset, length = frames.span(number)
        assert offset >= first
        assert length >= 0
        assert not length or offset + length <= last


def _walk(scanner: Scanner, start: int, end: int, encoding: Encoding, depth: int) -> None:
    tokens, stopped = scanner.elements(start, end, encoding)
    assert start <= stopped <= max(start, end)
    for token in tokens:
        _, vr, offset, length, undefined = token
        assert start <= offset <= end
        assert 0 <= length <= end - offset
        if (vr == "SQ" or undefined) and depth < _MAX_DEPTH:
            inner = scanner.children_encoding(token, encoding)
            for begin, stop in scanner.items(token, encoding):
                assert offset <= begin <= offset + length
                assert stop <= end
                if begin <= stop:
                    _walk(scanner, begin, stop, inner, depth + 1)


def _jsons(data: bytes, found: Header) -> None:
    """As the services ask for it: the header, the head of the pixel data, and what stands behind them."""
    layout, uid = found.layout, found.transfer_syntax_uid
    if uid in DEFLATED_UIDS:
        data, uid = inflated_object(data, layout.dataset_offset), EXPLICIT
    head, tail = data, None
    if layout.pixel_offset >= 0:
        tail = min(layout.header_length + _PIXEL_HEADER, layout.tail_offset)
        head = data[:tail] + data[layout.tail_offset :]
        tail = min(tail, len(head))
    where: _Where = {
        "dataset_offset": layout.dataset_offset,
        "stop": layout.header_length,
        "tail": tail,
    }
    paths: list[str] = []

    def bulk_uri(path: str) -> str:
        paths.append(path)
        return path

    whole: _Where = {"dataset_offset": layout.dataset_offset}
    for buffer, spans in ((data, whole), (head, where)):
        paths.clear()
        orjson.dumps(dataset_json(buffer, transfer_syntax_uid=uid, bulk_uri=bulk_uri, **spans))
        for path in paths[:20]:
            if path not in PIXEL_DATA_PATHS:
                _check_found(buffer, uid, path, spans)


def _check_found(data: bytes, uid: str, path: str, where: _Where) -> None:
    try:
        span = find_element(data, transfer_syntax_uid=uid, path=path, **where)
    except Unsupported:
        return
    assert 0 <= span.offset <= len(data)
    assert 0 <= span.length <= len(data) - span.offset

"""What must hold for the bodies of store requests: their multipart framing, metadata and codestreams."""

from __future__ import annotations

from contextlib import suppress

import orjson

from dicomweb.multipart import (
    MultipartDecoder,
    MultipartEncoder,
    MultipartError,
    PartData,
    PartEnd,
    events,
)
from tests import samples
from tests.dicomweb.streams import jpeg, jpeg_2000, jpeg_ls, mp4
from vna.dicom.build_pixels import BulkPart
from vna.dicom.building import build_file
from vna.dicom.element_writer import Chunk, Frames
from vna.dicom.header import read_header
from vna.dicom.json import dataset_json
from vna.dicom.native_xml import read_xml, write_xml
from vna.errors import InvalidInstance, Unsupported
from vna.model.query import JsonElement

_KINDS = ("application/octet-stream", "image/jpeg", "image/jp2", "image/jls", "video/mp4")


def multipart(data: bytes) -> None:
    """Any chunking gives one result: the same parts, or an error."""
    assert _parts(data, len(data) or 1) == _parts(data, 7)


def xml_metadata(data: bytes) -> None:
    """A document is refused, or gives attributes that are written and read again without a change."""
    try:
        attributes = read_xml(data)
    except InvalidInstance:
        return
    assert read_xml(write_xml(attributes)) == attributes
    _build(attributes, {})


def json_metadata(data: bytes) -> None:
    """Metadata is refused, or becomes an object that the archive reads."""
    with suppress(orjson.JSONDecodeError):
        found = orjson.loads(data)
        if isinstance(found, dict):
            _build(found, {})


def codestream(data: bytes) -> None:
    """Pixel data of any kind is refused, or becomes an object that the archive reads."""
    attributes: dict[str, JsonElement] = {
        "00080016": {"vr": "UI", "Value": ["1.2"]},
        "00080018": {"vr": "UI", "Value": ["1.3"]},
        "7FE00010": {"vr": "OB", "BulkDataURI": "p"},
    }
    for kind in _KINDS:
        _build(attributes, {"p": BulkPart((data,), kind)})


def _build(attributes: dict[str, JsonElement], parts: dict[str, BulkPart]) -> None:
    try:
        chunks = build_file(attributes, parts)
    except (InvalidInstance, Unsupported):
        return
    data = b"".join(map(_bytes, chunks))
    with suppress(InvalidInstance):  # UIDs that can't be kept
        header = read_header(data)
        dataset_json(
            data,
            dataset_offset=header.layout.dataset_offset,
            transfer_syntax_uid=header.transfer_syntax_uid,
        )


def _bytes(chunk: Chunk) -> bytes:
    return b"".join(chunk.make()) if isinstance(chunk, Frames) else bytes(chunk)


def _parts(data: bytes, size: int) -> list[bytes] | type[MultipartError]:
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    parts, held = [], bytearray()
    try:
        for event in events(MultipartDecoder("b"), pieces):
            if isinstance(event, PartData):
                held += event.data
            elif isinstance(event, PartEnd):
                parts.append(bytes(held))
                held.clear()
    except MultipartError as exc:
        return type(exc)
    return parts


def multipart_seeds() -> list[bytes]:
    """Bodies with parts of several kinds."""
    encoder = MultipartEncoder("application/dicom", "b")
    contents = [b"", b"one\r\n--bb", bytes(100)]
    body = b"".join(encoder.begin("application/dicom", content_id="1") + data for data in contents)
    return [body + encoder.end(), b"pre\n--b\nA: 1;\n b\n\nx\n--b--\nafter", b"--b--"]


def json_seeds() -> list[bytes]:
    """The metadata of small objects."""
    return [orjson.dumps(attributes) for attributes in _samples()]


def xml_seeds() -> list[bytes]:
    """The same as documents."""
    private = (
        b'<NativeDicomModel><DicomAttribute tag="00090001" vr="PN" privateCreator="A"><PersonName number="2">'
        b"<Alphabetic><GivenName>B</GivenName></Alphabetic></PersonName></DicomAttribute></NativeDicomModel>"
    )
    return [private, *map(write_xml, _samples())]


def codestream_seeds() -> list[bytes]:
    """Small images and a video."""
    return [
        *(jpeg(8, 8), jpeg(8, 8, is_colour=True), jpeg_2000(8, 8), jpeg_2000(8, 8, is_boxed=True)),
        *(jpeg_ls(), mp4(16, 16, frames=2, seconds=1), samples.fragments([b"ab", b"cd"])),
    ]


def _samples() -> list[dict[str, JsonElement]]:
    found = []
    for data in (samples.small(), samples.multiframe(2), samples.ct(rows=2, columns=2)):
        header = read_header(data)
        found.append(
            dataset_json(
                data,
                dataset_offset=header.layout.dataset_offset,
                transfer_syntax_uid=header.transfer_syntax_uid,
            )
        )
    return found

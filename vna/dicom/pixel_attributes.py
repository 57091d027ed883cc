"""The Image Pixel module as a codestream tells it, and the length of native pixel data (PS3.3 C.7.6.3)."""

from __future__ import annotations

from collections.abc import Mapping

from vna.dicom.stream_headers import StreamHeader
from vna.errors import InvalidInstance
from vna.model.query import JsonElement

_SAMPLES, _PHOTOMETRIC, _PLANAR = "00280002", "00280004", "00280006"
_FRAMES, _FRAME_POINTER = "00280008", "00280009"
_ROWS, _COLUMNS = "00280010", "00280011"
_ALLOCATED, _STORED, _HIGH, _SIGN = "00280100", "00280101", "00280102", "00280103"
_LOSSY, _RATIO, _METHOD = "00282110", "00282112", "00282114"
_FRAME_TIME, _CINE_RATE = "00181063", "00180040"
_UID = "1.2.840.10008.1.2.4."
_METHODS = {
    **dict.fromkeys((_UID + "50", _UID + "51"), "ISO_10918_1"),
    _UID + "81": "ISO_14495_1",
    _UID + "91": "ISO_15444_1",
    _UID + "93": "ISO_15444_1",
    _UID + "203": "ISO_15444_15",
    **dict.fromkeys((f"{_UID}{n}" for n in (100, 101)), "ISO_13818_2"),
    **dict.fromkeys((f"{_UID}{n}" for n in (102, 103, 104, 105, 106)), "ISO_14496_10"),
    **dict.fromkeys((f"{_UID}{n}" for n in (107, 108)), "ISO_23008_2"),
}
"""Lossy Image Compression Method (0028,2114) of the syntaxes that lose something (PS3.3 C.7.6.1.1.5.1)."""

Attributes = Mapping[str, JsonElement]


def expected_length(attributes: Attributes) -> int | None:
    """Bytes of native pixel data that `attributes` describe; None when they do not tell it all."""
    keys = (_ROWS, _COLUMNS, _SAMPLES, _ALLOCATED)
    numbers = [number_of(attributes, key) for key in keys]
    frames = number_of(attributes, _FRAMES) if _has(attributes, _FRAMES) else 1
    if None in numbers or frames is None:
        return None
    rows, columns, samples, bits = (number or 0 for number in numbers)
    if _text(attributes, _PHOTOMETRIC) in {"YBR_FULL_422", "YBR_PARTIAL_422"}:
        samples = 2
    return (rows * columns * samples * bits * frames + 7) // 8


def missing_attributes(
    attributes: Attributes,
    header: StreamHeader | None,
    transfer_syntax_uid: str,
    compressed: int,
    frames: int,
) -> dict[str, JsonElement]:
    """What `attributes` leave out of what is known of compressed pixel data of so many bytes.

    `frames`: the number of frames that came; 0: the stream tells, or nobody. Raises InvalidInstance where
    the attributes contradict the stream in size, samples or frames.
    """
    known = dict(_image(attributes, header)) if header is not None else {}
    count = frames or (header.number_of_frames if header is not None else 0)
    if count > 1:
        known[_FRAMES] = ("IS", count)
    if header is not None and header.frame_time > 0:
        known |= {
            _FRAME_TIME: ("DS", round(header.frame_time, 6)),
            _FRAME_POINTER: ("AT", _FRAME_TIME),
        }
        known[_CINE_RATE] = ("IS", max(1, round(1000 / header.frame_time)))
    _refuse_contradictions(attributes, known, frames)
    known |= _lossy({**attributes, **_elements(known)}, header, transfer_syntax_uid, compressed)
    return {key: element for key, element in _elements(known).items() if not _has(attributes, key)}


def number_of(attributes: Attributes, key: str) -> int | None:
    """The one whole number of an attribute, None when it has none."""
    values = attributes.get(key, {}).get("Value")
    value = values[0] if isinstance(values, list) and len(values) == 1 else None
    try:
        return int(value) if isinstance(value, (int, float, str)) else None
    except (ValueError, OverflowError):
        return None


def _image(attributes: Attributes, header: StreamHeader) -> dict[str, tuple[str, object]]:
    allocated = next(size for size in (8, 16, 32, 64) if header.bits_stored <= size)
    stored = number_of(attributes, _STORED) or header.bits_stored
    known: dict[str, tuple[str, object]] = {
        _SAMPLES: ("US", header.samples),
        _PHOTOMETRIC: ("CS", header.photometric),
        _ROWS: ("US", header.rows),
        _COLUMNS: ("US", header.columns),
        _ALLOCATED: ("US", allocated),
        _STORED: ("US", header.bits_stored),
        _HIGH: ("US", stored - 1),
        _SIGN: ("US", int(header.is_signed)),
    }
    return {**known, _PLANAR: ("US", 0)} if header.samples > 1 else known


def _refuse_contradictions(
    attributes: Attributes, known: Mapping[str, tuple[str, object]], frames: int
) -> None:
    for key in (_ROWS, _COLUMNS, _SAMPLES):
        if key in known and _has(attributes, key) and number_of(attributes, key) != known[key][1]:
            raise InvalidInstance(
                f"the metadata contradict the codestream, which has {known[key][1]} in {key}"
            )
    if frames and _has(attributes, _FRAMES) and number_of(attributes, _FRAMES) != frames:
        raise InvalidInstance(
            f"the metadata have another Number of Frames than the {frames} that came"
        )


def _lossy(
    attributes: Attributes, header: StreamHeader | None, syntax: str, compressed: int
) -> dict[str, tuple[str, object]]:
    """That, how, and by how much the image lost something; a history that is there stays as it is."""
    method = _METHODS.get(syntax.removesuffix(".1") if syntax.count(".") > 7 else syntax)
    if method is None or (
        header is not None and header.syntaxes[0] != syntax and _is_exact(header)
    ):
        return {}
    known: dict[str, tuple[str, object]] = {_LOSSY: ("CS", "01")}
    native = expected_length(attributes)
    if not _has(attributes, _RATIO) and not _has(attributes, _METHOD):
        known[_METHOD] = ("CS", method)
        if native:
            known[_RATIO] = ("DS", float(f"{native / max(compressed, 1):.6g}"))
    return known


def _is_exact(header: StreamHeader) -> bool:
    """A stream without loss in a syntax that allows loss: JPEG-LS with no tolerance, the reversible wavelet."""
    return header.syntaxes[0] in {_UID + "80", _UID + "90", _UID + "201"}


def _elements(known: Mapping[str, tuple[str, object]]) -> dict[str, JsonElement]:
    return {key: {"vr": vr, "Value": [value]} for key, (vr, value) in known.items()}


def _has(attributes: Attributes, key: str) -> bool:
    return bool(attributes.get(key, {}).get("Value"))


def _text(attributes: Attributes, key: str) -> str:
    values = attributes.get(key, {}).get("Value")
    return str(values[0]) if isinstance(values, list) and values else ""

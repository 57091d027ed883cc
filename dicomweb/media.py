"""Media types of requests, answers and transfer syntaxes (RFC 9110 8.3.1, PS3.18 8.7)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

DICOM = "application/dicom"
DICOM_JSON = "application/dicom+json"
DICOM_XML = "application/dicom+xml"
JSON = "application/json"
OCTET_STREAM = "application/octet-stream"
MULTIPART = "multipart/related"
ZIP = "application/zip"

_ITEM = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*"?)+')
_PARAMETER = re.compile(r';\s*([^\s;="]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;"]*))')
_KIND = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+/[!#$%&'*+.^_`|~0-9a-z-]+")
_ESCAPE = re.compile(r"\\(.)")
_SPACE_FOR_PLUS = re.compile(r"(?<=[a-z]) (?=(?:json|xml)\b)", re.IGNORECASE)

_JPEG = "1.2.840.10008.1.2.4."
FRAME_TYPES: Mapping[str, tuple[str, ...]] = {
    **{_JPEG + n: ("image/jpeg",) for n in ("50", "51", "57", "70")},
    **{_JPEG + n: ("image/jls", "image/x-jls") for n in ("80", "81")},
    **{_JPEG + n: ("image/jp2",) for n in ("90", "91")},
    **{_JPEG + n: ("image/jpx",) for n in ("92", "93")},
    **{_JPEG + n: ("image/jphc", "image/jhc") for n in ("201", "202", "203")},
    **{_JPEG + n: ("image/jxl",) for n in ("110", "111", "112")},
    **{_JPEG + n: ("video/mpeg2", "video/mpeg") for n in ("100", "100.1", "101", "101.1")},
    **{
        _JPEG + n: ("video/mp4",)
        for n in ("102", "102.1", "103", "103.1", "104", "104.1", "105", "105.1", "106", "106.1")
    },
    **{_JPEG + n: ("video/H265",) for n in ("107", "108")},
    "1.2.840.10008.1.2.5": ("image/dicom-rle", "image/x-dicom-rle"),
}
"""Transfer syntax -> media types of its frames, the proper one first (PS3.18 8.7.3)."""


@dataclass(frozen=True, slots=True)
class MediaType:
    """A media type or range: `kind` is "type/subtype"; it and parameter names are lower case."""

    kind: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    quality: float = 1.0

    def get(self, name: str) -> str:
        """A parameter's value, "" when it is not there."""
        return self.parameters.get(name, "")


def parse_media_type(text: str) -> MediaType | None:
    """A media type with parameters, quoted or not; None for text that is none.

    A parameter value may hold characters that RFC 9110 wants quoted (`type=application/dicom`).
    """
    kind, semicolon, rest = text.partition(";")
    kind = kind.strip().lower()
    if kind == "*":
        kind = "*/*"
    if _KIND.fullmatch(kind) is None:
        return None
    parameters: dict[str, str] = {}
    for name, quoted, plain in _PARAMETER.findall(semicolon + rest):
        parameters.setdefault(name.lower(), _ESCAPE.sub(r"\1", quoted) or plain.strip())
    quality = _quality(parameters.pop("q", ""))
    return MediaType(kind, parameters, quality)


def parse_accept(text: str) -> tuple[MediaType, ...]:
    """The media ranges of an Accept value in its order; what is no media range is passed over."""
    return tuple(_ranges(text))


def accepted(header: str, query: str) -> tuple[MediaType, ...]:
    """What a request accepts: the `accept` query parameter wins; neither means anything.

    The plus of "application/dicom+json" may have been read as a space where it was not encoded.
    """
    text = _SPACE_FOR_PLUS.sub("+", query) if query.strip() else header
    if not text.strip():
        return (MediaType("*/*"),)
    return parse_accept(text)


def frame_type(transfer_syntax_uid: str) -> str:
    """The media type of a frame in `transfer_syntax_uid`."""
    return FRAME_TYPES.get(transfer_syntax_uid, (OCTET_STREAM,))[0]


def _ranges(text: str) -> Iterator[MediaType]:
    for item in _ITEM.findall(text):
        media_type = parse_media_type(item)
        if media_type is not None:
            yield media_type


def _quality(text: str) -> float:
    try:
        quality = float(text) if text else 1.0
    except ValueError:
        return 1.0
    return min(max(quality, 0.0), 1.0) if quality == quality else 1.0

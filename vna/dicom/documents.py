"""Which stored objects are no images but documents, and the media types in which people read them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from vna.model.instances import StoredInstance

HTML, PLAIN_TEXT = "text/html", "text/plain"

_STORAGE = "1.2.840.10008.5.1.4.1.1."
_VIDEO = "1.2.840.10008.1.2.4."
_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,63}/[a-z0-9][a-z0-9!#$&^_.+-]{0,63}")
_UNKNOWN_TYPE = "application/octet-stream"


class Form(StrEnum):
    """What a person would call a stored object."""

    IMAGE = "image"
    VIDEO = "video"
    DOCUMENT = "document"
    REPORT = "report"
    PRESENTATION = "presentation state"
    DATA = "data"


@dataclass(frozen=True, slots=True)
class DocumentType:
    """The media type of an encapsulated document, other names of it, and the ending of its file name."""

    media_type: str
    aliases: tuple[str, ...]
    suffix: str


DOCUMENT_TYPES: Mapping[str, DocumentType] = {
    _STORAGE + "104.1": DocumentType("application/pdf", (), "pdf"),
    _STORAGE + "104.2": DocumentType("text/xml", ("application/xml",), "xml"),
    _STORAGE + "104.3": DocumentType("model/stl", ("model/x.stl-binary", "application/sla"), "stl"),
    _STORAGE + "104.4": DocumentType("model/obj", (), "obj"),
    _STORAGE + "104.5": DocumentType("model/mtl", (), "mtl"),
}
"""The encapsulated documents of the standard, by SOP class: each has one type (PS3.3 A.45, A.85)."""

VIDEO_TYPES: Mapping[str, str] = {
    **{_VIDEO + n: "video/mpeg" for n in ("100", "100.1", "101", "101.1")},
    **{
        _VIDEO + n: "video/mp4"
        for n in ("102", "102.1", "103", "103.1", "104", "104.1", "105", "105.1", "106", "106.1")
    },
    **{_VIDEO + n: "video/H265" for n in ("107", "108")},
}
"""The media types of videos, by transfer syntax (PS3.18 8.7.3.3)."""


def form_of(instance: StoredInstance) -> Form:
    """What `instance` is, as far as that shows without reading it: DATA may turn out to be more."""
    layout = instance.layout
    if layout.pixel_offset >= 0 and layout.pixel_length > 0:
        return Form.VIDEO if instance.transfer_syntax_uid in VIDEO_TYPES else Form.IMAGE
    return _without_pixels(instance.sop_class_uid)


def likely_form(sop_class_uid: str, transfer_syntax_uid: str) -> Form:
    """What an object of this SOP class most probably is, where nothing else is known of it."""
    form = _without_pixels(sop_class_uid)
    if form is not Form.DATA:
        return form
    if transfer_syntax_uid in VIDEO_TYPES:
        return Form.VIDEO
    tail = sop_class_uid.removeprefix(_STORAGE)
    return Form.DATA if tail != sop_class_uid and _DATA.match(tail) else Form.IMAGE


_DATA = re.compile(
    r"(?:4\.2|9(?:\..+)?|10|66(?:\.[12356])?|67|68\..+|77\.1\.5\.3|78\..+|79\.1|80\.1|90\.1|91\.1"
    r"|129|131|200\..+|201\.1|481\.(?!(?:1|2|23|24)$).+)$"
)
"""The storage classes without pixel data that are neither documents nor reports nor presentation
states (PS3.4 B.5): spectra, waveforms, raw data, registrations, measurements, plans.
"""


def _without_pixels(sop_class_uid: str) -> Form:
    tail = sop_class_uid.removeprefix(_STORAGE)
    if sop_class_uid in DOCUMENT_TYPES:
        return Form.DOCUMENT
    if tail.startswith("88.") and tail != sop_class_uid:
        return Form.REPORT
    if tail.startswith("11.") and tail != sop_class_uid:
        return Form.PRESENTATION
    return Form.DATA


def document_type(sop_class_uid: str, declared: str = "") -> DocumentType:
    """What a document of `sop_class_uid` is; for other classes what it declares itself to be."""
    known = DOCUMENT_TYPES.get(sop_class_uid)
    if known is not None:
        return known
    kind = declared.partition(";")[0].strip("\0 ").lower()
    return DocumentType(kind if _TYPE.fullmatch(kind) else _UNKNOWN_TYPE, (), "bin")


_MAPS = frozenset(_STORAGE + tail for tail in ("30", "66.4", "66.7", "481.2"))
_RANKS = (Form.IMAGE, Form.VIDEO, Form.DOCUMENT, Form.REPORT, Form.PRESENTATION, Form.DATA)


Rank = tuple[int, bool]


def rank(form: Form, sop_class_uid: str) -> Rank:
    """How well an instance shows what others are about: the least shows it best.

    Images come before what was made of them (segmentations, maps, doses), then videos, documents,
    reports.
    """
    return _RANKS.index(form), sop_class_uid in _MAPS


def representative(ranks: Sequence[Rank]) -> int:
    """Which of several instances stands for all: the middle one of those that show it best."""
    best = min(ranks)
    places = [place for place, found in enumerate(ranks) if found == best]
    return places[len(places) // 2]

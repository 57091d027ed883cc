"""In which media types an instance can be looked at (PS3.18 8.7.4)."""

from __future__ import annotations

from collections.abc import Mapping

from werkzeug.datastructures import MultiDict

from dicomweb.negotiate import Offer
from vna.dicom.documents import HTML, PLAIN_TEXT, VIDEO_TYPES, DocumentType, Form
from vna.dicom.rendering.options import ANIMATED, GIF, JPEG, MP4, PNG, RenderOptions
from vna.dicom.rendering.parameters import (
    parse_annotation,
    parse_icc_profile,
    parse_quality,
    parse_viewport,
    parse_window,
)

STILLS = (JPEG, PNG, GIF)
CLIPS = (GIF, MP4)

_ALIASES: Mapping[str, tuple[str, ...]] = {JPEG: ("image/jpg",)}
_VIDEO_ALIASES: Mapping[str, tuple[str, ...]] = {
    "video/mpeg": ("video/mpeg2",),
}


def options_of(media_type: str, arguments: MultiDict[str, str]) -> RenderOptions:
    """The rendering parameters of a request (PS3.18 8.3.5.1); those that are not known don't count.

    Raises InvalidQuery.
    """

    def given(name: str) -> str:
        return arguments.get(name, "").strip()

    viewport, window, quality = given("viewport"), given("window"), given("quality")
    annotation, icc_profile = given("annotation"), given("iccprofile")
    return RenderOptions(
        media_type=media_type,
        viewport=parse_viewport(viewport) if viewport else None,
        window=parse_window(window) if window else None,
        quality=parse_quality(quality) if quality else None,
        annotation=parse_annotation(annotation) if annotation else (),
        icc_profile=parse_icc_profile(icc_profile) if icc_profile else "no",
    )


def image_offers(frames: int, *, single_part: bool = True) -> list[Offer]:
    """How `frames` frames of one instance can be given: a part of its own for each, or all in an
    animation; with `single_part` also one image that stands for them.
    """
    parts = [_offer(kind, is_multipart=True) for kind in STILLS]
    alone = [_offer(kind) for kind in STILLS]
    if not single_part:
        return parts + ([_offer(kind) for kind in CLIPS] if frames > 1 else [])
    clips = [_offer(MP4, is_multipart=form) for form in (False, True)] if frames > 1 else []
    return [*alone, *parts, *clips]


def video_offers(transfer_syntax_uid: str) -> list[Offer]:
    """A video as it is stored."""
    kind = VIDEO_TYPES[transfer_syntax_uid]
    aliases = _VIDEO_ALIASES.get(kind, ())
    return [Offer(kind, form, aliases=aliases) for form in (False, True)]


def document_offers(kind: DocumentType) -> list[Offer]:
    """An encapsulated document as it is."""
    return [Offer(kind.media_type, form, aliases=kind.aliases) for form in (False, True)]


def report_offers() -> list[Offer]:
    """A structured report, in words."""
    return [Offer(kind, form) for form in (False, True) for kind in (HTML, PLAIN_TEXT)]


def likely_offers(form: Form) -> list[Offer]:
    """What there is of an instance that only its `form` is known of; nothing of data."""
    return {Form.IMAGE: image_offers(1), Form.REPORT: report_offers()}.get(form, [])


def is_clip(media_type: str, frames: int) -> bool:
    """Whether one image of that type shows all frames."""
    return media_type in ANIMATED and frames > 1


def _offer(kind: str, *, is_multipart: bool = False) -> Offer:
    return Offer(kind, is_multipart, aliases=_ALIASES.get(kind, ()))

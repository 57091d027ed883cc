"""The query parameters of the URI service as values (PS3.18 9.1.2)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from werkzeug.datastructures import MultiDict

from dicomweb.errors import BadRequest
from vna.dicom.rendering.options import Region, RenderOptions, Viewport, Window
from vna.dicom.rendering.parameters import (
    parse_annotation,
    parse_quality,
    parse_region,
    parse_window,
)

_COUNT = re.compile(r"[1-9][0-9]{0,8}")
_LOOKING = (
    "frameNumber",
    "rows",
    "columns",
    "region",
    "windowCenter",
    "windowWidth",
    "imageQuality",
    "annotation",
    "presentationUID",
)


@dataclass(frozen=True, slots=True)
class UriParameters:
    """What a request says; "", 0, () and None where it says nothing."""

    study: str
    series: str
    object: str
    content_type: str = ""
    transfer_syntax: str = ""
    anonymize: bool = False
    annotation: tuple[str, ...] = ()
    rows: int = 0
    columns: int = 0
    region: Region | None = None
    window: Window | None = None
    frame: int = 0
    quality: int | None = None
    presentation: tuple[str, str] | None = None
    """Series and SOP Instance UID of a presentation state."""
    is_for_looking: bool = False
    """Whether something is said of an image to look at."""

    @property
    def is_for_dicom_only(self) -> bool:
        """Whether it asks for what only a DICOM object can be."""
        return self.anonymize and not self.content_type

    def options(self, media_type: str) -> RenderOptions:
        """The rendering that is asked for."""
        bounds = Viewport(self.columns, self.rows) if self.columns or self.rows else None
        return RenderOptions(
            media_type=media_type,
            viewport=bounds,
            window=self.window,
            quality=self.quality,
            annotation=self.annotation,
            region=self.region,
        )


def read_parameters(arguments: MultiDict[str, str]) -> UriParameters:
    """The parameters of a query; unknown ones don't count. Raises BadRequest, InvalidQuery."""

    def given(name: str) -> str:
        return arguments.get(name, "").strip()

    if given("requestType") != "WADO":
        raise BadRequest(
            "requestType=WADO is what the URI service is asked with (PS3.18 9.1.2.1.1)"
        )
    missing = [name for name in ("studyUID", "seriesUID", "objectUID") if not given(name)]
    if missing:
        raise BadRequest(f"the query has no {' and no '.join(missing)}")
    annotation, region, quality = given("annotation"), given("region"), given("imageQuality")
    return UriParameters(
        study=given("studyUID"),
        series=given("seriesUID"),
        object=given("objectUID"),
        content_type=given("contentType"),
        transfer_syntax=given("transferSyntax"),
        anonymize=_anonymize(given("anonymize")),
        annotation=parse_annotation(annotation) if annotation else (),
        rows=_count("rows", given("rows")),
        columns=_count("columns", given("columns")),
        region=parse_region(region) if region else None,
        window=_window(given("windowCenter"), given("windowWidth")),
        frame=_count("frameNumber", given("frameNumber")),
        quality=parse_quality(quality) if quality else None,
        presentation=_presentation(arguments),
        is_for_looking=any(map(given, _LOOKING)),
    )


def _count(name: str, value: str) -> int:
    if value and not _COUNT.fullmatch(value):
        raise BadRequest(f"{name}={value[:80]!r} is no number from 1")
    return int(value or 0)


def _window(center: str, width: str) -> Window | None:
    if not center and not width:
        return None
    if not (center and width) or "," in center + width:
        raise BadRequest("windowCenter and windowWidth are one number each, and go together")
    return parse_window(f"{center},{width}")


def _anonymize(value: str) -> bool:
    if value.lower() not in {"", "yes", "no"}:
        raise BadRequest("anonymize is yes, or is left out")
    return value.lower() == "yes"


def _presentation(arguments: MultiDict[str, str]) -> tuple[str, str] | None:
    state = arguments.get("presentationUID", "").strip()
    series = arguments.get("presentationSeriesUID", "").strip()
    if not state and not series:
        return None
    if not (state and series):
        raise BadRequest("presentationUID and presentationSeriesUID go together")
    if any(arguments.get(name) for name in ("windowCenter", "windowWidth", "region")):
        raise BadRequest("a presentation state says itself which window and region it shows")
    return series, state

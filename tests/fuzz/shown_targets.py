"""What must hold for what people look at: reports, presentation states and anonymized images."""

from __future__ import annotations

import io
import warnings
from contextlib import suppress
from html.parser import HTMLParser

from pydicom import dcmread

from tests import reports, samples
from vna.dicom.deidentified import deidentified
from vna.dicom.envelope import read_envelope
from vna.dicom.json import dataset_json
from vna.dicom.presentation_state import read_state, referenced_images
from vna.dicom.sr_html import report_html
from vna.dicom.sr_text import report_text
from vna.errors import InvalidQuery, Unsupported

_SIZE = (512, 512)
_VOID = frozenset({"meta"})
_TAGS = frozenset(
    {
        *(
            "html",
            "head",
            "meta",
            "title",
            "style",
            "body",
            "main",
            "section",
            "div",
            "p",
            "b",
            "a",
        ),
        *("h1", "h2", "h3", "h4", "h5", "h6", "table", "tr", "th", "td", "span", "small"),
    }
)


class _Page(HTMLParser):
    """Tags that are ours, each closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in _TAGS, tag
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def report(data: bytes) -> None:
    """A page of our own tags and nothing else, whatever the dataset holds."""
    dataset = _json(data)
    page = _Page()
    page.feed("".join(report_html(dataset, lambda *uids: "/".join(uids))))
    page.close()
    assert not page.open
    "".join(report_text(dataset))


def state(data: bytes) -> None:
    """A presentation state is applied or refused."""
    dataset = _json(data)
    for image in referenced_images(dataset)[:8]:
        for frame in (image.frames or (1,))[:4]:
            with suppress(InvalidQuery, Unsupported):
                found = read_state(dataset, image.sop_instance_uid, frame, _SIZE)
                area = found.area
                assert 0 <= area.left < area.right <= 512
                assert 0 <= area.top < area.bottom <= 512
                assert found.rotation in {0, 90, 180, 270}
                found.viewport(100, 100)


def anonymized(data: bytes) -> None:
    """An image without names, dates, texts and private elements, or it is said that there is none."""
    try:
        result = deidentified(data, b"secret")
    except Unsupported:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for element in dcmread(io.BytesIO(result)).iterall():
            assert not element.tag.is_private
            if element.VR in {"DA", "TM", "DT", "PN", "LT", "ST", "UT"}:
                assert not str(element.value or "")


def report_seeds() -> list[bytes]:
    """Reports of some value types."""
    number = {"NumericValue": "12.5", "MeasurementUnitsCodeSequence": reports.code("mm", "mm")}
    leaf = reports.item("TEXT", "Finding", TextValue="<b>none</b>")
    return [
        reports.report(leaf, reports.item("NUM", "Length", leaf, MeasuredValueSequence=[number])),
        reports.report(
            reports.item("CONTAINER", "Chapter", reports.item("CONTAINER", "Part", leaf))
        ),
        reports.report(
            reports.item("SCOORD", "Where", GraphicType="POINT", GraphicData=[1.0, 2.0]),
            reports.item("TABLE", "Sizes", TabulatedValuesSequence=[{"NumberOfTableRows": 1}]),
        ),
    ]


def state_seeds() -> list[bytes]:
    """Presentation states."""
    window = {"WindowCenter": "40", "WindowWidth": "400"}
    area = {"DisplayedAreaTopLeftHandCorner": [1, 1], "DisplayedAreaBottomRightHandCorner": [9, 9]}
    return [
        reports.state("1.1", "1.2", "1.3"),
        reports.state(
            "1.1",
            "1.2",
            "1.3",
            SoftcopyVOILUTSequence=[window],
            DisplayedAreaSelectionSequence=[area],
            ImageRotation=90,
        ),
    ]


def image_seeds() -> list[bytes]:
    """Small images."""
    uids = {"SOPClassUID": samples.CT_IMAGE, "Modality": "CT"}
    return [samples.multiframe(1, **uids), samples.ct(rows=2, columns=2)]  # type: ignore[arg-type]


def _json(data: bytes) -> dict[str, dict[str, object]]:
    envelope = read_envelope(data)
    return dataset_json(
        data, dataset_offset=envelope.dataset_offset, transfer_syntax_uid=samples.EXPLICIT
    )

"""Structured reports as HTML and as text."""

from __future__ import annotations

import warnings
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread

from tests import reports, samples
from vna.dicom.json import dataset_json
from vna.dicom.json_reading import Dataset
from vna.dicom.sr_html import report_html
from vna.dicom.sr_text import report_text

_VOID = frozenset({"meta", "br", "hr"})


class Page(HTMLParser):
    """A page taken apart: its text, tags and links; unbalanced tags are told."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: list[str] = []
        self.links: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name == "href"]
        assert not [name for name, _ in attrs if name.startswith("on")]
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        """All text."""
        return "".join(self.words)


def link(study: str, series: str, instance: str) -> str:
    return f"/{study}/{series}/{instance}"


def page_of(dataset: Dataset) -> Page:
    page = Page("".join(report_html(dataset, link)))
    assert page.open == []
    return page


def parsed(data: bytes) -> Dataset:
    return dataset_json(data, dataset_offset=_start(data), transfer_syntax_uid=samples.EXPLICIT)


def _start(data: bytes) -> int:
    return 144 + int.from_bytes(data[140:144], "little")


def shown(*content: Any, **overrides: Any) -> str:
    return page_of(parsed(reports.report(*content, **overrides))).text


NUMBER = {"NumericValue": "12.5", "MeasurementUnitsCodeSequence": reports.code("millimeter", "mm")}
IMAGE = {
    "ReferencedSOPClassUID": samples.CT_IMAGE,
    "ReferencedSOPInstanceUID": "1.2.3.4",
    "ReferencedFrameNumber": ["2", "5"],
}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (reports.item("TEXT", "Finding", TextValue="no mass\nseen"), "Finding: no mass\nseen"),
        (
            reports.item(
                "CODE", "Site", ConceptCodeSequence=reports.code("Liver", "10200004", "SCT")
            ),
            "Site: Liver (10200004, SCT)",
        ),
        (reports.item("NUM", "Length", MeasuredValueSequence=[NUMBER]), "Length: 12.5 mm"),
        (
            reports.item(
                "NUM", "Width", NumericValueQualifierCodeSequence=reports.code("Not measured")
            ),
            "Width: Not measured (T-1, 99TEST)",
        ),
        (reports.item("DATETIME", "At", DateTime="20240131120000"), "At: 2024-01-31 12:00:00"),
        (reports.item("DATE", "On", Date="20240131"), "On: 2024-01-31"),
        (reports.item("TIME", "From", Time="1201"), "From: 12:01"),
        (reports.item("UIDREF", "Tracking", UID="1.2.3"), "Tracking: 1.2.3"),
        (reports.item("PNAME", "Reader", PersonName="Roe^Ann^^Dr."), "Reader: Dr. Ann Roe"),
        (
            reports.item("IMAGE", "Key", ReferencedSOPSequence=[IMAGE]),
            "Key: CT Image 1.2.3.4 (frame 2, 5)",
        ),
        (
            reports.item("COMPOSITE", "Prior", ReferencedSOPSequence=[IMAGE]),
            "Prior: CT Image 1.2.3.4 (frame 2, 5)",
        ),
        (
            reports.item(
                "WAVEFORM",
                "Lead",
                ReferencedSOPSequence=[
                    {
                        "ReferencedSOPClassUID": "1.2.840.10008.5.1.4.1.1.9.1.1",
                        "ReferencedSOPInstanceUID": "1.2.9",
                        "ReferencedWaveformChannels": [1, 3],
                    }
                ],
            ),
            "Lead: 12-lead ECG Waveform 1.2.9 (channel 1, 3)",
        ),
        (
            reports.item(
                "SCOORD", "Outline", GraphicType="POLYLINE", GraphicData=[1.0, 2.5, 3.0, 4.0]
            ),
            "Outline: polyline (1, 2.5) (3, 4)",
        ),
        (
            reports.item("SCOORD3D", "Tip", GraphicType="POINT", GraphicData=[1.0, 2.0, 3.0]),
            "Tip: point (1, 2, 3)",
        ),
        (
            reports.item(
                "TCOORD", "Beat", TemporalRangeType="SEGMENT", ReferencedSamplePositions=[10, 20]
            ),
            "Beat: segment samples 10, 20",
        ),
        (reports.item("NEW", "Unknown", TextValue="still told"), "Unknown: still told"),
        (reports.item("CONTAINER", "Chapter"), "Chapter"),
    ],
)
def test_every_value_type(content: Any, expected: str) -> None:
    assert expected in shown(content)


def test_a_table() -> None:
    cells = [
        {"TableRowNumber": 1, "TableColumnNumber": 1, "ValueType": "TEXT", "TextValue": "small"},
        {"TableRowNumber": 2, "TableColumnNumber": 1, "TextValue": "large"},
    ]
    row = {"TableRowNumber": 1, "ConceptNameCodeSequence": reports.code("Left")}
    column = {"TableColumnNumber": 1, "ConceptNameCodeSequence": reports.code("Size")}
    tabulated: Any = {
        "NumberOfTableRows": 2,
        "NumberOfTableColumns": 1,
        "TableRowDefinitionSequence": [row],
        "TableColumnDefinitionSequence": [column],
        "CellValuesSequence": cells,
    }
    page = page_of(
        parsed(reports.report(reports.item("TABLE", "Sizes", TabulatedValuesSequence=[tabulated])))
    )
    assert "Sizes: table of 2 rows and 1 columns" in page.text
    assert [word for word in ("Size", "Left", "small", "2", "large") if word in page.words] == [
        "Size",
        "Left",
        "small",
        "2",
        "large",
    ]


def test_items_stand_inside_each_other() -> None:
    deep = reports.item("TEXT", "Depth 9", TextValue="bottom")
    for depth in range(8, 0, -1):
        deep = reports.item("CONTAINER", f"Depth {depth}", deep)
    page = page_of(parsed(reports.report(deep)))
    assert page.tags.count("section") == 8
    assert {"h2", "h6"} <= set(page.tags)
    assert "bottom" in page.text
    below = reports.item(
        "NUM",
        "Length",
        reports.item("TEXT", "Method", TextValue="by hand", RelationshipType="HAS CONCEPT MOD"),
        MeasuredValueSequence=[NUMBER],
    )
    assert "Method: by hand (modifier)" in shown(below)


def test_what_is_repeated_is_referred_to() -> None:
    repeated: Any = {"RelationshipType": "INFERRED FROM", "ReferencedContentItemIdentifier": [1, 1]}
    found = page_of(
        parsed(
            reports.report(
                reports.item("TEXT", "First", TextValue="x"),
                reports.item("TEXT", "Second", repeated, TextValue="y"),
            )
        )
    )
    assert "see item 1.1" in found.text
    assert "#i1.1" in found.links


def test_references_lead_to_what_the_evidence_places() -> None:
    series: Any = {"SeriesInstanceUID": "1.8", "ReferencedSOPSequence": [IMAGE]}
    evidence: Any = [{"StudyInstanceUID": "1.7", "ReferencedSeriesSequence": [series]}]
    data = reports.report(
        reports.item("IMAGE", "Key", ReferencedSOPSequence=[IMAGE]),
        CurrentRequestedProcedureEvidenceSequence=evidence,
    )
    assert page_of(parsed(data)).links == ["/1.7/1.8/1.2.3.4"]


def test_whose_report_it_is() -> None:
    observer = {
        "VerifyingObserverName": "Roe^Ann",
        "VerifyingOrganization": "St. Elsewhere",
        "VerificationDateTime": "20240201",
    }
    text = shown(
        PatientName="Doe^Jane",
        CompletionFlag="COMPLETE",
        VerificationFlag="VERIFIED",
        VerifyingObserverSequence=[observer],
    )
    for expected in ("Jane Doe", "PID-1", "complete", "verified", "Ann Roe, St. Elsewhere"):
        assert expected in text


ATTACK = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"


def test_nothing_of_a_report_becomes_markup() -> None:
    data = reports.report(
        reports.item("TEXT", ATTACK, TextValue=ATTACK),
        reports.item("PNAME", "Who", PersonName=ATTACK),
        reports.item("UIDREF", "Which", UID=ATTACK),
        reports.item("SCOORD", "Where", GraphicType=ATTACK),
        title=ATTACK,
        PatientName=ATTACK,
        StudyDescription=ATTACK,
    )
    page = page_of(parsed(data))
    assert not {"script", "img"} & set(page.tags)
    assert page.text.count("alert(1)") >= 12


def test_the_order_of_letters_can_not_be_turned() -> None:
    dataset: dict[str, Any] = {"0040A040": {"vr": "CS", "Value": ["TEXT"]}}
    dataset["0040A160"] = {"vr": "UT", "Value": ["a\u202egnp.\x00exe\x1b[2J"]}
    html = "".join(report_html(dataset, link))
    assert not {"\u202e", "\x00", "\x1b"} & set(html)


def test_as_text() -> None:
    data = reports.report(
        reports.item(
            "CONTAINER", "Chest", reports.item("NUM", "Length", MeasuredValueSequence=[NUMBER])
        )
    )
    text = "".join(report_text(parsed(data)))
    assert text.startswith("Findings\n\n")
    assert "Patient: Jane Doe\n" in text
    assert "Chest\n  Length: 12.5 mm\n" in text


_LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8))
_TAG_LINES = """
0040A730 0040A040 0040A043 0040A160 0040A300 0040A168 00081199 00700022
0040A801 0040A808 0040A375 00081115 0040A073 00100010 0040DB73
"""
_TAGS = st.sampled_from(_TAG_LINES.split())
_ELEMENTS = st.recursive(
    st.dictionaries(
        _TAGS, st.fixed_dictionaries({"vr": st.just("LO"), "Value": st.lists(_LEAVES)})
    ),
    lambda inner: st.dictionaries(
        _TAGS,
        st.fixed_dictionaries(
            {"vr": st.just("SQ"), "Value": st.lists(inner | _LEAVES, max_size=4)}
        ),
        max_size=5,
    ),
    max_leaves=12,
)


@given(_ELEMENTS)
def test_whatever_stands_in_a_dataset_is_told_or_passed_over(dataset: Dataset) -> None:
    page_of(dataset)
    "".join(report_text(dataset))


REAL = [path for path in samples.corpus_files() if path.parent.name in {"SR", "KO"}]
REAL += [path for path in samples.pydicom_files() if path.name.startswith(("reportsi", "test-SR"))]


@pytest.mark.parametrize("path", REAL, ids=lambda path: path.name)
def test_real_reports_are_told_whole(path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        real = dcmread(path)
        texts = [str(element.value) for element in real.iterall() if element.keyword == "TextValue"]
        data = path.read_bytes()
        dataset = dataset_json(
            data,
            dataset_offset=_start(data),
            transfer_syntax_uid=str(real.file_meta.TransferSyntaxUID),
        )
    page = page_of(dataset)
    plain = " ".join(page.text.split())
    for text in texts:
        assert " ".join(text.split()) in plain
    content = [item for item in real.iterall() if item.keyword == "ContentSequence"]
    assert page.tags.count("section") + page.tags.count("div") >= sum(len(s.value) for s in content)

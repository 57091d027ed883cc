"""What stands above a report: whose it is, of what, by whom, and how far it can be relied on."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from vna.dicom.json_reading import Dataset, items, text
from vna.dicom.sr_values import date, date_time, person, time


def report_head(dataset: Dataset) -> Iterator[tuple[str, str]]:
    """(label, value) of all that is known."""
    for label, read in _HEAD:
        if value := read(dataset):
            yield label, value
    for observer in items(dataset, "0040A073"):
        who = ", ".join(
            filter(None, (person(text(observer, "0040A075")), text(observer, "0040A027")))
        )
        yield "Verified by", " ".join(filter(None, (who, date_time(text(observer, "0040A030")))))


def _of(tag: str, say: Callable[[str], str] = str) -> Callable[[Dataset], str]:
    return lambda dataset: say(text(dataset, tag))


def _moment(day: str, clock: str) -> Callable[[Dataset], str]:
    return lambda dataset: f"{date(text(dataset, day))} {time(text(dataset, clock))}".strip()


_HEAD: tuple[tuple[str, Callable[[Dataset], str]], ...] = (
    ("Patient", _of("00100010", person)),
    ("Patient ID", _of("00100020")),
    ("Born", _of("00100030", date)),
    ("Sex", _of("00100040")),
    ("Study", _of("00081030")),
    ("Study date", _moment("00080020", "00080030")),
    ("Accession number", _of("00080050")),
    ("Referring physician", _of("00080090", person)),
    ("Institution", _of("00080080")),
    ("Report date", _moment("00080023", "00080033")),
    ("Completion", _of("0040A491", str.lower)),
    ("Verification", _of("0040A493", str.lower)),
)

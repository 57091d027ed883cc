"""The content tree of a structured report as text that people read (PS3.3 C.17.3)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from vna.dicom.json_reading import Dataset, items, text, texts
from vna.dicom.sr_values import VALUES, code, name_of, table_rows

_RELATIONSHIPS: Mapping[str, str] = {
    "HAS OBS CONTEXT": "observation context",
    "HAS ACQ CONTEXT": "acquisition context",
    "HAS CONCEPT MOD": "modifier",
    "HAS PROPERTIES": "property",
    "INFERRED FROM": "inferred from",
    "SELECTED FROM": "selected from",
}
"""What is told of a relationship; that a container contains goes without saying."""


@dataclass(frozen=True, slots=True)
class Reference:
    """An object that a content item names; `detail` says which part of it."""

    sop_class_uid: str
    sop_instance_uid: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Item:
    """A content item: `position` is its path in the tree ("1.2.3"), `same_as` that of an item it
    repeats, `children` what stands below it, read as it is asked for.
    """

    position: str
    value_type: str
    relationship: str
    name: str
    value: str
    observed: str
    references: tuple[Reference, ...]
    same_as: str
    dataset: Dataset

    @property
    def is_container(self) -> bool:
        """Whether it is a heading."""
        return self.value_type == "CONTAINER" or not (self.value or self.references or self.same_as)

    def rows(self) -> list[list[str]]:
        """The cells of a table, none for everything else."""
        return table_rows(self.dataset) if self.value_type == "TABLE" else []

    def children(self) -> Iterator[Item]:
        """The items below it, in order."""
        for number, child in enumerate(items(self.dataset, "0040A730"), start=1):
            yield read_item(child, f"{self.position}.{number}")


def read_item(dataset: Dataset, position: str = "1") -> Item:
    """The content item that `dataset` is; that of a whole report is its root."""
    value_type = text(dataset, "0040A040").upper()
    describe: Callable[[Dataset], str] = VALUES.get(value_type, _unknown)
    relationship = text(dataset, "0040A010").upper()
    return Item(
        position=position,
        value_type=value_type,
        relationship=_RELATIONSHIPS.get(relationship, ""),
        name=name_of(dataset),
        value=describe(dataset),
        observed=text(dataset, "0040A032"),
        references=tuple(_references(dataset)),
        same_as=".".join(texts(dataset, "0040DB73")),
        dataset=dataset,
    )


def _unknown(dataset: Dataset) -> str:
    """Whatever text stands in an item of a value type that is not known."""
    return text(dataset, "0040A160") or code(dataset, "0040A168")


def _references(dataset: Dataset) -> Iterator[Reference]:
    for referenced in items(dataset, "00081199"):
        frames, segments = texts(referenced, "00081160"), texts(referenced, "0062000B")
        channels = texts(referenced, "0040A0B0")
        details = (("frame", frames), ("segment", segments), ("channel", channels))
        told = (f"{word} {', '.join(numbers)}" for word, numbers in details if numbers)
        yield Reference(text(referenced, "00081150"), text(referenced, "00081155"), "; ".join(told))


def places(dataset: Dataset) -> dict[str, tuple[str, str]]:
    """SOP Instance UID -> study and series, of all objects that a report names as its evidence."""
    found: dict[str, tuple[str, str]] = {}
    for tag in ("0040A375", "0040A385", "00081200"):
        for study in items(dataset, tag):
            for series in items(study, "00081115"):
                place = text(study, "0020000D"), text(series, "0020000E")
                for instance in items(series, "00081199"):
                    found[text(instance, "00081155")] = place
    return found

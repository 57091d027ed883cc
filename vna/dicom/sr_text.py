"""A structured report as plain text."""

from __future__ import annotations

import re
from collections.abc import Iterator

from vna.dicom.json_reading import Dataset
from vna.dicom.sr_content import Item, read_item
from vna.dicom.sr_head import report_head

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""What no text needs and what could turn the order of the letters around it."""


def report_text(dataset: Dataset) -> Iterator[str]:
    """The report as plain text, one line an item, indented by depth."""
    root = read_item(dataset)
    yield f"{readable(root.name) or 'Report'}\n\n"
    for label, value in report_head(dataset):
        yield f"{label}: {readable(value)}\n"
    yield "\n"
    for child in (root,) if root.value or root.references else root.children():
        yield from _text_lines(child, 0)


def _text_lines(item: Item, depth: int) -> Iterator[str]:
    named = ", ".join(
        f"{reference.sop_instance_uid} {reference.detail}".strip() for reference in item.references
    )
    same = f"see item {item.same_as}" if item.same_as else ""
    value = "; ".join(filter(None, (item.value, named, same)))
    line = ": ".join(filter(None, (item.name, value)))
    if line:
        yield f"{'  ' * depth}{readable(line)}\n"
    for row in item.rows():
        yield f"{'  ' * (depth + 1)}{readable(' | '.join(row))}\n"
    for child in item.children():
        yield from _text_lines(child, depth + 1)


def readable(value: str) -> str:
    """`value` without control characters, its lines ended in one way."""
    return _CONTROL.sub(" ", value.replace("\r\n", "\n").replace("\r", "\n")).strip()

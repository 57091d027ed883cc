"""Reads values out of a dataset in the DICOM JSON model that may be anything but what it should be."""

from __future__ import annotations

import math
from collections.abc import Mapping

from vna.model.query import JsonElement

Dataset = Mapping[str, JsonElement]


def values(dataset: Dataset, tag: str) -> list[object]:
    """The values of an element, none when it is not there or has none."""
    element = dataset.get(tag)
    found = element.get("Value") if isinstance(element, dict) else None
    return found if isinstance(found, list) else []


def items(dataset: Dataset, tag: str) -> list[Dataset]:
    """The items of a sequence."""
    return [item for item in values(dataset, tag) if isinstance(item, dict)]


def texts(dataset: Dataset, tag: str) -> list[str]:
    """The values of an element as text; of person names the first group that says something."""
    return [text for value in values(dataset, tag) if (text := _text(value))]


def text(dataset: Dataset, tag: str) -> str:
    """The first value as text, "" without one."""
    return next(iter(texts(dataset, tag)), "")


def numbers(dataset: Dataset, tag: str) -> list[float]:
    """The values that are finite numbers, or text that is one."""
    return [number for value in values(dataset, tag) if (number := _number(value)) is not None]


def number(dataset: Dataset, tag: str) -> float | None:
    """The first value as a number, None without one."""
    return next(iter(numbers(dataset, tag)), None)


def _text(value: object) -> str:
    if value is None or isinstance(value, list):
        return ""
    if isinstance(value, dict):
        groups = (value.get(group) for group in ("Alphabetic", "Ideographic", "Phonetic"))
        return next((group for group in groups if isinstance(group, str) and group), "")
    return f"{value:g}" if isinstance(value, float) and value.is_integer() else str(value).strip()


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None

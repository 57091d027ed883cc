"""The value of a content item in words, for each value type (PS3.3 table C.17.3-7)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from vna.dicom.json_reading import Dataset, items, text, texts

_MANY = 24
"""Coordinates that are told one by one; of more only how many there are."""


def code(dataset: Dataset, tag: str) -> str:
    """The meaning of a coded entry, with its code: "Liver (10200004, SCT)"."""
    return ", ".join(filter(None, map(_entry, items(dataset, tag))))


def _entry(entry: Dataset) -> str:
    meaning = text(entry, "00080104")
    value = next(filter(None, (text(entry, tag) for tag in _CODE_VALUES)), "")
    coded = ", ".join(filter(None, (value, text(entry, "00080102"))))
    if not meaning:
        return coded
    return f"{meaning} ({coded})" if coded else meaning


_CODE_VALUES = ("00080100", "00080119", "00080120")
"""Code Value, Long Code Value, URN Code Value (PS3.3 8.1)."""


def name_of(dataset: Dataset) -> str:
    """The concept that an item is about, without its code."""
    for entry in items(dataset, "0040A043"):
        return text(entry, "00080104") or _entry(entry)
    return ""


def _text_value(dataset: Dataset) -> str:
    return text(dataset, "0040A160")


def _code_value(dataset: Dataset) -> str:
    return code(dataset, "0040A168")


def _measurement(dataset: Dataset) -> str:
    """Numbers with their units, and why there are none (C.18.1)."""
    told = [
        " ".join(filter(None, (", ".join(texts(value, "0040A30A")), _unit(value))))
        for value in items(dataset, "0040A300")
    ]
    why = code(dataset, "0040A301")
    return "; ".join(filter(None, (*told, why)))


def _unit(value: Dataset) -> str:
    for unit in items(value, "004008EA"):
        symbol, meaning = text(unit, "00080100"), text(unit, "00080104")
        return "" if symbol == "1" else symbol or meaning
    return ""


def date(value: str) -> str:
    """A DA value with separators; anything else as it is."""
    plain = len(value) == 8 and value.isdecimal()
    return f"{value[:4]}-{value[4:6]}-{value[6:]}" if plain else value


def time(value: str) -> str:
    """A TM value with separators; anything else as it is."""
    digits = value[:6]
    if not digits.isdecimal() or len(digits) % 2 or ":" in value:
        return value
    return ":".join(digits[start : start + 2] for start in range(0, len(digits), 2)) + value[6:]


def date_time(value: str) -> str:
    """A DT value with separators; anything else as it is."""
    return f"{date(value[:8])} {time(value[8:])}".strip()


def _person(dataset: Dataset) -> str:
    return person(text(dataset, "0040A123"))


def person(name: str) -> str:
    """A person name as it is said: "Doe^Jane^^Dr." becomes "Dr. Jane Doe"."""
    parts = [part.strip() for part in name.partition("=")[0].split("^")] + [""] * 5
    family, given, middle, prefix, suffix = parts[:5]
    said = " ".join(filter(None, (prefix, given, middle, family)))
    return f"{said}, {suffix}" if suffix else said


def _coordinates(dataset: Dataset) -> str:
    numbers = texts(dataset, "00700022")
    per_point = 3 if text(dataset, "0040A040").upper() == "SCOORD3D" else 2
    shown = _points(numbers, per_point)
    return " ".join(filter(None, (text(dataset, "00700023").lower(), shown)))


def _points(numbers: list[str], per_point: int) -> str:
    if len(numbers) > _MANY:
        return f"of {len(numbers) // per_point} points"
    points = (numbers[start : start + per_point] for start in range(0, len(numbers), per_point))
    return " ".join(f"({', '.join(point)})" for point in points)


def _times(dataset: Dataset) -> str:
    kinds = (("samples", "0040A132"), ("seconds", "0040A138"), ("at", "0040A13A"))
    told = (
        f"{word} {', '.join(found[:_MANY])}{' …' if len(found) > _MANY else ''}"
        for word, tag in kinds
        if (found := texts(dataset, tag))
    )
    return " ".join((text(dataset, "0040A130").lower(), *told)).strip()


def _table_size(dataset: Dataset) -> str:
    for tabulated in items(dataset, "0040A801"):
        rows, columns = text(tabulated, "0040A802"), text(tabulated, "0040A803")
        return f"table of {rows or '?'} rows and {columns or '?'} columns"
    return "table"


VALUES: Mapping[str, Callable[[Dataset], str]] = {
    "TEXT": _text_value,
    "CODE": _code_value,
    "NUM": _measurement,
    "DATETIME": lambda dataset: date_time(text(dataset, "0040A120")),
    "DATE": lambda dataset: date(text(dataset, "0040A121")),
    "TIME": lambda dataset: time(text(dataset, "0040A122")),
    "UIDREF": lambda dataset: text(dataset, "0040A124"),
    "PNAME": _person,
    "SCOORD": _coordinates,
    "SCOORD3D": _coordinates,
    "TCOORD": _times,
    "TABLE": _table_size,
    "COMPOSITE": lambda _dataset: "",
    "IMAGE": lambda _dataset: "",
    "WAVEFORM": lambda _dataset: "",
    "CONTAINER": lambda _dataset: "",
}
"""The value of an item by its Value Type (0040,A040)."""


def table_rows(dataset: Dataset) -> list[list[str]]:
    """The rows of a TABLE item, each with what names it first; the names of columns stand on top.

    Only rows and columns that have a cell are there: what a table says of its size binds nobody.
    """
    for tabulated in items(dataset, "0040A801"):
        cells = {
            (text(cell, "0040A804"), text(cell, "0040A805")): _cell(cell)
            for cell in items(tabulated, "0040A808")
        }
        rows, columns = _names(tabulated, "0040A806"), _names(tabulated, "0040A807", "0040A805")
        across = list(dict.fromkeys(column for _, column in cells))[:_MOST_COLUMNS]
        down = dict.fromkeys(row for row, _ in cells)
        return [
            ["", *(columns.get(column, column) for column in across)],
            *(
                [rows.get(row, row), *(cells.get((row, column), "") for column in across)]
                for row in down
            ),
        ]
    return []


_MOST_COLUMNS = 64


def _names(tabulated: Dataset, tag: str, number: str = "0040A804") -> dict[str, str]:
    return {text(defined, number): name_of(defined) for defined in items(tabulated, tag)}


def _cell(cell: Dataset) -> str:
    describe = VALUES.get(text(cell, "0040A040").upper())
    if describe is not None:
        return describe(cell)
    return next(filter(None, (told(cell) for told in VALUES.values())), "")

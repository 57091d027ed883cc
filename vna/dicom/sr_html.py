"""A structured report as a page of HTML that needs nothing but itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from html import escape

from pydicom.uid import UID

from vna.dicom.json_reading import Dataset
from vna.dicom.sr_content import Item, Reference, places, read_item
from vna.dicom.sr_head import report_head
from vna.dicom.sr_text import readable
from vna.dicom.sr_values import date_time

Link = Callable[[str, str, str], str]
"""Study, series and SOP Instance UID -> the URL that shows the instance."""

_DEEPEST_HEADING = 6
_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60em;margin:2em auto;padding:0 1em;"
    "color:#1a1a1a;background:#fff}"
    "table{border-collapse:collapse;margin:.5em 0}"
    "th,td{text-align:left;vertical-align:top;padding:.15em 1em .15em 0}"
    "h1{font-size:1.6em}h2{font-size:1.3em}h3,h4,h5,h6{font-size:1.1em}"
    "section,.below{margin-left:1em;padding-left:.8em;border-left:1px solid #ddd}"
    "main>section{margin-left:0;padding-left:0;border:0}"
    "p{margin:.3em 0}.v{white-space:pre-wrap;overflow-wrap:anywhere}.r{color:#666}"
)


def report_html(dataset: Dataset, link: Link) -> Iterator[str]:
    """The report in pieces; everything that comes from it is escaped."""
    root = read_item(dataset)
    title = _said(root.name) or "Report"
    yield "<!DOCTYPE html>\n"
    yield f'<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
    yield f"<style>{_STYLE}</style></head><body>\n<h1>{title}</h1>\n"
    yield from _head(dataset)
    yield "<main>\n"
    writer = _Writer(places(dataset), link)
    if root.value or root.references:
        yield from writer.item(root, 1)
    else:
        for child in root.children():
            yield from writer.item(child, 2)
    yield "</main>\n</body></html>\n"


def _head(dataset: Dataset) -> Iterator[str]:
    yield "<table>\n"
    for label, value in report_head(dataset):
        yield f"<tr><th>{label}</th><td>{_said(value)}</td></tr>\n"
    yield "</table>\n"


class _Writer:
    """Writes content items; `places` says where the objects lie that they name."""

    def __init__(self, places: Mapping[str, tuple[str, str]], link: Link) -> None:
        self._places, self._link = places, link

    def item(self, item: Item, level: int) -> Iterator[str]:
        """An item and all below it; `level` is that of its heading."""
        if item.is_container:
            yield from self._section(item, level)
            return
        yield f'<div id="i{item.position}">{self._line(item)}\n'
        yield from _rows(item)
        yield from self._below(item, level)
        yield "</div>\n"

    def _section(self, item: Item, level: int) -> Iterator[str]:
        heading = f"h{min(level, _DEEPEST_HEADING)}"
        yield f'<section id="i{item.position}">\n'
        if item.name:
            yield f"<{heading}>{_said(item.name)}{_aside(item)}</{heading}>\n"
        for child in item.children():
            yield from self.item(child, level + 1)
        yield "</section>\n"

    def _below(self, item: Item, level: int) -> Iterator[str]:
        opening = '<div class="below">\n'
        for child in item.children():
            yield opening
            opening = ""
            yield from self.item(child, level + 1)
        if not opening:
            yield "</div>\n"

    def _line(self, item: Item) -> str:
        name = f"<b>{_said(item.name)}:</b> " if item.name else ""
        value = f'<span class="v">{_said(item.value)}</span>' if item.value else ""
        named = ", ".join(map(self._reference, item.references))
        same = _same(item.same_as) if item.same_as else ""
        return f"<p>{name}{' '.join(filter(None, (value, named, same)))}{_aside(item)}</p>"

    def _reference(self, reference: Reference) -> str:
        uid = reference.sop_instance_uid
        words = UID(reference.sop_class_uid).name if reference.sop_class_uid else ""
        shown = _said(words.removesuffix(" Storage")) or "object"
        detail = f" ({_said(reference.detail)})" if reference.detail else ""
        place = self._places.get(uid)
        if place is None or not all(place):
            return f"{shown} {_said(uid)}{detail}"
        target = escape(self._link(*place, uid), quote=True)
        return f'<a href="{target}" rel="noreferrer">{shown}</a>{detail}'


def _rows(item: Item) -> Iterator[str]:
    rows = item.rows()
    if rows:
        yield "<table>\n"
        for row in rows:
            yield f"<tr>{''.join(f'<td>{_said(cell)}</td>' for cell in row)}</tr>\n"
        yield "</table>\n"


def _same(position: str) -> str:
    target = escape(position, quote=True)
    return f'<a href="#i{target}">see item {target}</a>'


def _aside(item: Item) -> str:
    told = ", ".join(filter(None, (item.relationship, date_time(item.observed))))
    return f' <small class="r">({_said(told)})</small>' if told else ""


def _said(value: str) -> str:
    """Text of the report between tags or in an attribute."""
    return escape(readable(value), quote=True)

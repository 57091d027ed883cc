"""Pieces of HTML: text that stays text, tables, lists of facts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from typing import NamedTuple

from vna.migration.report.style import CSS, HATCH


class Column(NamedTuple):
    """A column of a table. `kind`: "" for text, "n" for numbers, "u" for long texts that may be broken anywhere."""

    name: str
    kind: str = ""


Row = Sequence[object]


def head(title: str) -> str:
    """What comes before the content. The page may ask for nothing and run nothing."""
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "style-src 'unsafe-inline'; img-src data:\">"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<link rel="icon" href="data:,">'
        f"<title>{escape(title)}</title><style>{CSS}</style></head>\n<body>{HATCH}<main>\n"
    )


def foot(text: str) -> str:
    """What comes behind the content."""
    return f'</main><footer class="soft"><p>{escape(text)}</p></footer></body></html>\n'


def paragraph(text: str, kind: str = "") -> str:
    """A paragraph of plain text."""
    attribute = f' class="{kind}"' if kind else ""
    return f"<p{attribute}>{escape(text)}</p>\n"


def facts(pairs: Iterable[tuple[str, str]]) -> str:
    """A few numbers that are to be seen first."""
    items = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in pairs
    )
    return f'<dl class="facts">{items}</dl>\n'


def table(caption: str, columns: Sequence[Column], rows: Iterable[Row]) -> Iterator[str]:
    """A table, a row at a time; the first cell of each row names it."""
    yield f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(caption)}">'
    yield f"<table><caption>{escape(caption)}</caption><thead><tr>"
    for column in columns:
        yield f'<th scope="col"{_class(column)}>{escape(column.name)}</th>'
    yield "</tr></thead><tbody>\n"
    for row in rows:
        yield _row(columns, row)
    yield "</tbody></table></div>\n"


def figure(svg: str, caption: str) -> str:
    """A plot with what is to be said of it."""
    return f"<figure>{svg}<figcaption>{escape(caption)}</figcaption></figure>\n"


def folded(summary: str, content: Iterable[str]) -> Iterator[str]:
    """What only some readers want to see."""
    yield f"<details><summary>{escape(summary)}</summary>\n"
    yield from content
    yield "</details>\n"


def _row(columns: Sequence[Column], row: Row) -> str:
    first, *others = zip(columns, row, strict=True)
    cells = [f'<th scope="row"{_class(first[0])}>{escape(str(first[1]))}</th>']
    cells += [f"<td{_class(column)}>{escape(str(value))}</td>" for column, value in others]
    return f"<tr>{''.join(cells)}</tr>\n"


def _class(column: Column) -> str:
    return f' class="{column.kind}"' if column.kind else ""

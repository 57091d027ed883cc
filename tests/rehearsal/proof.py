"""The end of each campaign: a second run, the final check, the report, and the certificate that others check."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from tests.rehearsal.book import Book
from tests.rehearsal.commands import Migrate
from tests.rehearsal.ledger import Inside
from tests.rehearsal.silos import Silo

_ASKS = re.compile(r"""@import|(?:src|href|action)\s*=\s*["'](?!data:|#)[^"']*""")
"""What makes a browser ask for something else; anchors within the page and data do not."""


def begin_again(migrate: Migrate, silos: Sequence[Silo], book: Book) -> None:
    """Take stock once more and start; there has to be nothing new."""
    for silo in silos:
        stock = migrate("inventory", silo.name, "--json").expected(0, 1).document
        news = sum(stock[f"{what}_studies"] for what in ("new", "changed"))
        book.note("second run", silo.name, "new and changed studies", 0, news)
        book.note("second run", silo.name, "new instances", 0, stock["new_instances"])
        migrate("start", silo.name).expected()


def finish(migrate: Migrate, silos: Sequence[Silo], book: Book) -> None:
    """The final check of every campaign, and what it recorded."""
    for silo in silos:
        words = ("finish", silo.name, "--reread", "--accept-exceptions", "--json")
        found = migrate(*words).expected(0, 1).document
        book.note_that("finish", silo.name, "is finished", found["finished"])
        status = migrate("status", silo.name, "--json").expected().document
        book.note("finish", silo.name, "state", "done", status["state"])
        left = status["remaining_instances"]
        book.note("finish", silo.name, "instances left", 0, left)


def certificates(
    migrate: Migrate, inside: Inside, silos: Sequence[Silo], folder: Path, book: Book
) -> None:
    """Each is proven as it was written, by the archive's key; none is after a byte of it was changed."""
    key = folder / "archive.pem"
    for silo in silos:
        path = folder / f"{silo.name}.jsonl"
        words = ("certificate", silo.name, "-o", str(path), "--public-key", str(key), "--json")
        written = migrate(*words).expected().document
        rows = len(inside.rows(silo.name))
        told = sum(written["instances"].values())
        book.note("certificate", silo.name, "instances", rows, told)
        _check(migrate, path, key, silo, book)


def reports(migrate: Migrate, silos: Sequence[Silo], folder: Path, book: Book) -> None:
    """Each names every exception, and asks nothing of anybody."""
    for silo in silos:
        path = folder / f"{silo.name}.html"
        migrate("report", silo.name, "-o", str(path)).expected()
        text = path.read_text(encoding="utf-8")
        uids = {one.uids.sop_instance_uid for one in silo.placed if one.reasons and not one.twin}
        lacking = [uid for uid in sorted(uids) if uid not in text]
        book.note_none("report", silo.name, "planted faults told", lacking, len(uids))
        asks = _ASKS.findall(text)
        book.note("report", silo.name, "asks for nothing else", [], asks)


def _check(migrate: Migrate, path: Path, key: Path, silo: Silo, book: Book) -> None:
    check = ("certificate", "--check", str(path), "--public-key", str(key))
    book.note("certificate", silo.name, "is proven", 0, migrate(*check).code)
    data = path.read_bytes()
    middle = len(data) // 2
    for what, changed in (
        ("after a byte was changed", data[:middle] + _other(data[middle]) + data[middle + 1 :]),
        ("after its last line was cut", data[: data.rstrip().rindex(b"\n") + 1]),
    ):
        path.write_bytes(changed)
        book.note("certificate", silo.name, f"is not proven {what}", 1, migrate(*check).code)
    path.write_bytes(data)


def _other(byte: int) -> bytes:
    return bytes([byte ^ 1])

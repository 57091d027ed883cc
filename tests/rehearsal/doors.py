"""What leaves the target: corrected as the rules say, with what stood there before."""

from __future__ import annotations

import urllib.request
from collections.abc import Sequence

import pydicom

from tests.e2e.web import fetch
from tests.rehearsal.book import Book
from tests.rehearsal.contents import CHARSET, CYRILLIC
from tests.rehearsal.ledger import read
from tests.rehearsal.objects import Placed
from tests.rehearsal.silos import Silo

_AS_STORED = "application/dicom; transfer-syntax=*"


def deliveries_are_corrected(root: str, silos: Sequence[Silo], book: Book) -> None:
    """One instance of each silo, by WADO-RS."""
    for silo in silos:
        given = next(one for one in silo.placed if one.oddity == CHARSET)
        sent = _delivered(root, given)
        letters = str(sent.PatientName) == CYRILLIC
        book.note_that("delivery", silo.name, "a name in its true letters", letters)
        book.note("delivery", silo.name, "issuer", silo.domain, sent.IssuerOfPatientID)
        former = sent.OriginalAttributesSequence[0].ModifiedAttributesSequence[0]
        book.note("delivery", silo.name, "former set", "ISO_IR 100", former.SpecificCharacterSet)
        same = sent.PixelData == read(given.data).PixelData
        book.note_that("delivery", silo.name, "pixels as they came", same)


def _delivered(root: str, given: Placed) -> pydicom.Dataset:
    uids = given.uids
    series = f"{root}/studies/{uids.study_instance_uid}/series/{uids.series_instance_uid}"
    url = f"{series}/instances/{uids.sop_instance_uid}"
    status, body = fetch(urllib.request.Request(url, headers={"Accept": _AS_STORED}))
    if status != 200:
        raise RuntimeError(f"{url} answers {status}: {body[:500]!r}")
    return read(body)

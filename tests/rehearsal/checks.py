"""What has to be true when all campaigns are done, against what the silos were given."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from tests.rehearsal.book import Book
from tests.rehearsal.commands import Migrate
from tests.rehearsal.contents import COLLISION, CYRILLIC, IDENTICAL, VARIANT
from tests.rehearsal.ledger import Inside, Row, is_same_instance
from tests.rehearsal.objects import SHARED_PATIENT, Placed
from tests.rehearsal.silos import Silo

_AT_ONCE = 100
_LOST = {"not-delivered", "source-error", "source-unavailable", "unreadable"}
"""Reasons of what has not come."""


def ledger_explains_everything(inside: Inside, silo: Silo, book: Book) -> None:
    """Each instance has a row; each row a state that needs no more work, with evidence or a reason."""
    rows = inside.rows(silo.name)
    given = Counter(one.uids.sop_instance_uid for one in silo.placed)
    found = Counter(row.sop_instance_uid for row in rows)
    book.note("ledger", silo.name, "rows for what the silo has", len(silo.placed), len(rows))
    book.note("ledger", silo.name, "rows of something else", 0, (found - given).total())
    unexplained = [
        row.sop_instance_uid
        for row in rows
        if not (row.evidence if row.state == "verified" else row.reason)
    ]
    book.note_none("ledger", silo.name, "state with evidence or reason", unexplained, len(rows))
    open_ = [row.state for row in rows if row.state not in {"verified", "mismatched", "parked"}]
    book.note_none("ledger", silo.name, "at its end", open_, len(rows))


def exceptions_are_the_planted_faults(migrate: Migrate, silos: Sequence[Silo], book: Book) -> None:
    """And no others; of twins it is whichever came second."""
    twins: Counter[str] = Counter()
    for silo in silos:
        documents = migrate("exceptions", silo.name, "--json").expected(0, 1).documents
        found = Counter(
            (instance["sop_instance_uid"], instance["reason"])
            for document in documents
            for instance in document["instances"]
        )
        planted = [one for one in silo.placed if one.reasons]
        for one in planted:
            _take_out(one, found, twins, silo, book)
        book.note("exceptions", silo.name, "that nobody planted", [], sorted(found.elements()))
        studies = {one["study_instance_uid"] for one in documents}
        others = studies - {one.uids.study_instance_uid for one in planted}
        book.note("exceptions", silo.name, "studies that have none planted", 0, len(others))
    sizes = Counter(one.twin for silo in silos for one in silo.placed if one.twin)
    for group, size in sizes.items():
        book.note("exceptions", "all", f"{COLLISION}: {group}", size - 1, twins[group])


def _take_out(
    one: Placed, found: Counter[tuple[str, str]], twins: Counter[str], silo: Silo, book: Book
) -> None:
    uid = one.uids.sop_instance_uid
    listed = [reason for reason in sorted(one.reasons) if found[uid, reason]]
    if listed:
        found[uid, listed[0]] -= 1
    if one.twin:
        twins[one.twin] += len(listed[:1])
    else:
        book.note_that("exceptions", silo.name, one.oddity, listed)


def everything_is_kept_as_it_came(inside: Inside, silo: Silo, book: Book) -> None:
    """What was verified, and both of what collides, is in the storage as the silo was given it."""
    expected = [one for one in silo.placed if not one.reasons or one.twin]
    wrong = []
    for some in _batches(expected):
        kept = inside.versions([one.uids.sop_instance_uid for one in some])
        for one in some:
            versions = kept.get(one.uids.sop_instance_uid, [])
            exactly = silo.keeps_bytes and not one.is_shared
            if not any(is_same_instance(data, one.data, keeps_bytes=exactly) for data in versions):
                wrong.append(f"{one.uids.sop_instance_uid} {one.oddity}")
    what = "every byte as given" if silo.keeps_bytes else "every element as given"
    book.note_none("storage", silo.name, what, wrong, len(expected))
    odd = Counter(one.oddity for one in expected if one.oddity)
    for oddity, count in sorted(odd.items()):
        lost = [text for text in wrong if text.endswith(oddity)]
        book.note_none("oddity", silo.name, oddity, lost, count)


def nothing_is_kept_twice(inside: Inside, silos: Sequence[Silo], book: Book) -> None:
    """An object for each instance, and for each other version of one; variants and copies are told as such."""
    came = [
        one
        for silo in silos
        for one in silo.placed
        if not one.reasons & _LOST and one.uids.sop_instance_uid
    ]
    once = Counter(one.uids.sop_instance_uid for one in came)
    instances = int(inside.query("SELECT count(*) FROM instance")[0][0])
    book.note("index", "all", "instances, each once", len(once), instances)
    stray = inside.query(
        "SELECT count(*) FROM location WHERE instance IS NULL AND conflict IS NULL"
    )
    book.note("index", "all", "objects that belong to nothing", 0, stray[0][0])
    rows = [row for silo in silos for row in inside.rows(silo.name)]
    for oddity, told in ((VARIANT, "a variant"), (IDENTICAL, "was there already")):
        twice = _more_than_once(came, once, oddity)
        untold = [uid for uid in twice if not _is_told(told, uid, rows)]
        book.note_none("index", "all", f"{oddity}: told as such", untold, len(twice))
    both = _more_than_once(came, once, COLLISION)
    lacking = [uid for uid in both if len(inside.versions([uid]).get(uid, [])) < 2]
    book.note_none("index", "all", f"{COLLISION}: both are kept", lacking, len(both))


def domains_stay_apart(inside: Inside, silos: Sequence[Silo], book: Book) -> None:
    """The patient ID that every domain gave to somebody else is as many patients."""
    patients = inside.query("SELECT count(*) FROM patient WHERE patient_id = %s", SHARED_PATIENT)
    book.note("index", "all", "patients of the ID of all domains", len(silos), patients[0][0])


def rules_are_in_force(inside: Inside, silos: Sequence[Silo], book: Book) -> None:
    """In the index stand the issuer, the accession number and the letters that the rules make."""
    for silo in silos:
        names = inside.query(
            "SELECT DISTINCT attributes #>> '{00100010,Value,0,Alphabetic}' FROM patient"
            " WHERE issuer_of_patient_id = %s",
            silo.domain,
        )
        book.note_that("rules", silo.name, "a name in its true letters", (CYRILLIC,) in names)
        numbers = inside.query(
            "SELECT count(*) FROM study WHERE accession_number = ANY(%s)",
            [f"NEW-{silo.domain}-{number}" for number in (1, 2)],
        )
        book.note("rules", silo.name, "studies with mapped accession numbers", 2, numbers[0][0])


def _more_than_once(came: Iterable[Placed], once: Counter[str], oddity: str) -> set[str]:
    """UIDs of which something odd came, and something else: the silo with the other one may not be part of it."""
    odd = {one.uids.sop_instance_uid for one in came if one.oddity == oddity}
    return {uid for uid in odd if once[uid] > 1}


def _is_told(told: str, uid: str, rows: Iterable[Row]) -> bool:
    return any(row.sop_instance_uid == uid and told in row.evidence for row in rows)


def _batches(items: Sequence[Placed]) -> list[Sequence[Placed]]:
    return [items[start : start + _AT_ONCE] for start in range(0, len(items), _AT_ONCE)]

"""C-FIND in every character set: asked in one, stored in another, answered in the data's own."""

from __future__ import annotations

from itertools import count

import pytest

from tests import samples
from tests.scp.site import Site, associate
from tests.scp.test_query import CONTEXTS, PATIENT_ROOT, Keys, Record, ask, keep, records
from vna.dicom.charset import decode, parse_charsets
from vna.dimse.association import Association

UTF_8 = "ISO_IR 192"
KANJI = b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B"
NAMES = [
    ("ISO_IR 100", "Müller^Jörg", "Müller^Jörg".encode("latin-1")),
    ("ISO_IR 101", "Wałęsa^Lech", "Wałęsa^Lech".encode("iso8859-2")),
    ("ISO_IR 109", "Ĝis^Revido", "Ĝis^Revido".encode("iso8859-3")),
    ("ISO_IR 110", "Ķeniņš^Ģirts", "Ķeniņš^Ģirts".encode("iso8859-4")),
    ("ISO_IR 144", "Люкceмбypг", "Люкceмбypг".encode("iso8859-5")),
    ("ISO_IR 127", "قباني^لنزار", "قباني^لنزار".encode("iso8859-6")),
    ("ISO_IR 126", "Διονυσιος", "Διονυσιος".encode("iso8859-7")),
    ("ISO_IR 138", "שרון^דבורה", "שרון^דבורה".encode("iso8859-8")),
    ("ISO_IR 148", "Çavuşoğlu", "Çavuşoğlu".encode("iso8859-9")),
    ("ISO_IR 166", "สวัสดี", "สวัสดี".encode("tis-620")),
    ("ISO_IR 203", "Œuvre^Žan", "Œuvre^Žan".encode("iso8859-15")),
    ("ISO_IR 13", "ﾔﾏﾀﾞ^ﾀﾛｳ", b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3"),
    (UTF_8, "Wang^XiaoDong=王^小東", "Wang^XiaoDong=王^小東".encode()),
    ("GB18030", "Wang^XiaoDong=王^小东", "Wang^XiaoDong=王^小东".encode("gb18030")),
    ("GBK", "Wang^塡塣=王^小东", "Wang^塡塣=王^小东".encode("gbk")),
    ("\\ISO 2022 IR 87", "Yamada^Tarou=山田^太郎=やまだ^たろう", KANJI),
    (
        "ISO 2022 IR 13\\ISO 2022 IR 87",
        "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎",
        b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J",
    ),
    ("\\ISO 2022 IR 159", "A^B=丂", b"A^B=\x1b$(D0!\x1b(B"),
    (
        "\\ISO 2022 IR 149",
        "Hong^Gildong=洪^吉洞=홍^길동",
        b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf",
    ),
    (
        "\\ISO 2022 IR 58",
        "Zhang^XiaoDong=张^小东",
        b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab",
    ),
    (
        "ISO 2022 IR 100\\ISO 2022 IR 144",
        "Buc^Jérôme=Люк",
        "Buc^Jérôme=".encode("latin-1") + b"\x1b-L" + "Люк".encode("iso8859-5") + b"\x1b-A",
    ),
]
"""Label, text, and its bytes, made without the code under test."""

by_label = pytest.mark.parametrize(("label", "text", "name"), NAMES, ids=[n[0] for n in NAMES])
_serial = count(1)


def keep_study(association: Association, label: str, name: bytes, **more: samples.Value) -> str:
    """Store a study; its Study Instance UID."""
    uid = f"1.2.77.{next(_serial)}"
    patient: dict[str, samples.Value] = {"PatientID": f"P{uid}", "PatientName": name}
    labelled: dict[str, samples.Value] = {"SpecificCharacterSet": label} if label else {}
    keep(association, {**labelled, **patient, "StudyInstanceUID": uid, **more})
    return uid


def name_of(record: Record) -> str:
    values = record["00100010"]["Value"]
    assert isinstance(values, list)
    return "=".join(values[0].values())


def label_of(record: Record) -> str:
    values = record.get("00080005", {}).get("Value", [])
    return "\\".join(term or "" for term in values)  # type: ignore[attr-defined]


def found_uids(association: Association, keys: Keys, level: str = "STUDY") -> list[object]:
    return [
        record["0020000D"]["Value"][0]  # type: ignore[index]
        for record in records(association, level, {"StudyInstanceUID": "", **keys})
    ]


@by_label
def test_the_answer_is_in_the_set_and_the_bytes_of_the_data(
    site: Site, label: str, text: str, name: bytes
) -> None:
    with associate(site, *CONTEXTS) as association:
        uid = keep_study(association, label, name)
        pending, _ = ask(association, "STUDY", {"StudyInstanceUID": uid, "PatientName": ""})
        (found,) = records(association, "STUDY", {"StudyInstanceUID": uid, "PatientName": ""})
    assert (label_of(found), name_of(found)) == (label, text)
    assert name in pending[0].data


@by_label
def test_a_question_in_any_set_finds_data_in_unicode_and_the_other_way_round(
    site: Site, label: str, text: str, name: bytes
) -> None:
    with associate(site, *CONTEXTS) as association:
        own = keep_study(association, label, name)
        unicode = keep_study(association, UTF_8, text.encode())
        everything = sorted([own, unicode])
        asked_in_own: Keys = {"SpecificCharacterSet": label, "PatientName": name}
        asked_in_utf8: Keys = {"SpecificCharacterSet": UTF_8, "PatientName": text.encode()}
        assert sorted(found_uids(association, asked_in_own)) == everything  # type: ignore[type-var]
        assert sorted(found_uids(association, asked_in_utf8)) == everything  # type: ignore[type-var]


def test_a_wildcard_amid_escape_sequences(site: Site) -> None:
    with associate(site, *CONTEXTS) as association:
        uid = keep_study(association, UTF_8, "Yamada^Tarou=山田^太郎".encode())
        keys: Keys = {
            "SpecificCharacterSet": "\\ISO 2022 IR 87",
            "PatientName": b"*=\x1b$B;3ED\x1b(B^*",
        }
        assert found_uids(association, keys) == [uid]
        assert found_uids(association, {**keys, "PatientName": b"*\x1b$B@n\x1b(B*"}) == []


@pytest.mark.parametrize("label", ["ISO-IR 100", "ISO IR 100", "ISO_IR_100", "iso_ir 100"])
def test_a_misspelt_label_is_read_and_answered_as_it_is_meant(site: Site, label: str) -> None:
    with associate(site, *CONTEXTS) as association:
        uid = keep_study(association, label, "Müller".encode("latin-1"))
        keys: Keys = {"SpecificCharacterSet": label, "PatientName": "m\xfcller".encode("latin-1")}
        (found,) = records(association, "STUDY", {"StudyInstanceUID": "", **keys})
    assert (label_of(found), name_of(found)) == ("ISO_IR 100", "Müller")
    assert found["0020000D"]["Value"] == [uid]


def test_plain_text_needs_no_character_set(site: Site) -> None:
    with associate(site, *CONTEXTS) as association:
        uid = keep_study(association, UTF_8, b"Doe^Jane", StudyDescription="Schädel".encode())
        keys: Keys = {"StudyInstanceUID": uid, "PatientName": ""}
        (plain,) = records(association, "STUDY", keys)
        (other,) = records(association, "STUDY", {**keys, "StudyDescription": ""})
    assert "00080005" not in plain
    assert (label_of(other), other["00081030"]["Value"]) == (UTF_8, ["Schädel"])


def test_rows_of_two_sets_are_answered_in_unicode_together(site: Site) -> None:
    """The patient is known from a study in Latin-1; another study of theirs is in Cyrillic."""
    patient: dict[str, samples.Value] = {"PatientID": "SHARED", "PatientBirthDate": "19700101"}
    latin, cyrillic = "Müller".encode("latin-1"), "Голова".encode("iso8859-5")
    with associate(site, *CONTEXTS) as association:
        first = keep_study(association, "ISO_IR 100", latin, **patient)
        second = keep_study(
            association, "ISO_IR 144", b"Muller", **patient, StudyDescription=cyrillic
        )
        asked: Keys = {"StudyInstanceUID": "", "PatientName": "", "StudyDescription": ""}
        found = {
            str(record["0020000D"]["Value"][0]): record  # type: ignore[index]
            for record in records(association, "STUDY", {**asked, "PatientID": "SHARED"})
        }
        (whole,) = records(association, "PATIENT", {**patient, "PatientName": ""}, PATIENT_ROOT)
    assert label_of(found[first]) == "ISO_IR 100"
    assert found[second]["00081030"]["Value"] == ["Голова"]
    assert label_of(found[second]) == "ISO_IR 144"
    assert (label_of(whole), name_of(whole)) == ("ISO_IR 100", "Müller")


def test_a_text_that_no_single_set_of_the_rows_carries_is_answered_in_unicode(site: Site) -> None:
    latin, cyrillic = "Müller".encode("latin-1"), "Голова".encode("iso8859-5")
    series: dict[str, samples.Value] = {"PatientID": "TWO", "StudyInstanceUID": "1.2.78.1"}
    with associate(site, *CONTEXTS) as association:
        keep(
            association,
            {
                **series,
                "SpecificCharacterSet": "ISO_IR 100",
                "PatientName": latin,
                "SeriesInstanceUID": "1.2.78.1.1",
            },
        )
        keep(
            association,
            {
                **series,
                "SpecificCharacterSet": "ISO_IR 144",
                "SeriesInstanceUID": "1.2.78.1.2",
                "SeriesDescription": cyrillic,
                "PatientName": b"Muller",
            },
        )
        keys: Keys = {
            "StudyInstanceUID": "1.2.78.1",
            "SeriesInstanceUID": "1.2.78.1.2",
            "PatientName": "",
            "SeriesDescription": "",
        }
        (found,) = records(association, "SERIES", keys)
    assert (label_of(found), name_of(found)) == (UTF_8, "Müller")
    assert found["0008103E"]["Value"] == ["Голова"]


def test_unlabelled_text_is_answered_in_the_set_of_the_question(site: Site) -> None:
    with associate(site, *CONTEXTS) as association:
        uid = keep_study(association, "", "Διονυσιος".encode())
        keys: Keys = {"StudyInstanceUID": uid, "PatientName": ""}
        (asked,) = records(association, "STUDY", {**keys, "SpecificCharacterSet": "ISO_IR 126"})
        (plain,) = records(association, "STUDY", keys)
    assert (label_of(asked), name_of(asked)) == ("ISO_IR 126", "Διονυσιος")
    assert (label_of(plain), name_of(plain)) == (UTF_8, "Διονυσιος")


@pytest.mark.parametrize("label", ["\\ISO 2022 IR 87", "GB18030", "ISO_IR 100", "KLINGON"])
def test_any_bytes_in_a_question_get_an_answer(site: Site, label: str) -> None:
    with associate(site, *CONTEXTS) as association:
        for value in (b"\x1b$B\x80", b"\x1b", b"\x81", b"\xff\xfe=^\\", b"\x1b$)C*\xff?"):
            keys: Keys = {"SpecificCharacterSet": label, "PatientName": value, "PatientID": ""}
            _, final = ask(association, "STUDY", keys)
            assert final.status in {0, 0xA900}, value


def test_the_examples_are_what_they_say() -> None:
    for label, text, data in NAMES:
        assert decode(data, parse_charsets(label.encode())) == text

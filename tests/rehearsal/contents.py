"""What each silo holds: how much that is ordinary, which oddities, which faults."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from tests import samples
from tests.rehearsal.objects import (
    EVERYWHERE,
    PRIVATE_CLASS,
    PRIVATE_SYNTAX,
    SHARED_PATIENT,
    Maker,
    Placed,
    damaged,
    with_other_pixels,
)
from vna.model.identifiers import InstanceUids

UNDELIVERABLE = "an instance that the source can't deliver"
CORRUPTED = "an instance whose bytes the source corrupts"
COLLISION = "a UID that stands for two images"
VARIANT = "the same image under another header"
IDENTICAL = "the same instance twice"
UNREADABLE = "a file that breaks off in its header"
NO_DATE = "no study date"
BAD_DATE = "a study date that is none"
CHARSET = "a character set that is not the one it names"
WINDOWS = "Windows letters under a Latin-1 label"
TWO_DOMAINS = "a patient ID of two domains"
BIG_ENDIAN, IMPLICIT, DEFLATED = "big endian", "implicit VR", "deflated"
COMPRESSED = "compressed"
CLASS_OF_ITS_OWN = "a private SOP class"
SYNTAX_OF_ITS_OWN = "a private transfer syntax"
NO_PIXELS = "no pixels"

CYRILLIC = "Иванов^Иван"
CYRILLIC_STATION = "CYRILLIC"
"""Where the texts come from that are in another character set than they name: rules go by it."""
_CYRILLIC = CYRILLIC.encode("iso8859_5")
_WINDOWS = "Œuvré^Žiga".encode("cp1252")
_KEY_OBJECT, _REPORT = samples.KEY_OBJECT, "1.2.840.10008.5.1.4.1.1.88.22"


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is ordinary: so many studies in each silo, of so many series, of so many images."""

    studies: int
    series: int
    images: int


FULL = Scale(10, 2, 21)
SHORT = Scale(2, 1, 3)
_FEW = 3


@dataclass(frozen=True, slots=True)
class Traits:
    """What a silo can hold: `syntaxes` of compressed images, plain ones, and whether it takes what is private."""

    syntaxes: tuple[str, ...]
    plain: tuple[str, ...] = (samples.IMPLICIT, samples.BIG_ENDIAN, samples.DEFLATED)
    classes: bool = False
    private_syntax: bool = False


_PLAIN = {samples.IMPLICIT: IMPLICIT, samples.BIG_ENDIAN: BIG_ENDIAN, samples.DEFLATED: DEFLATED}
_UNCOMPRESSED = (samples.IMPLICIT, samples.BIG_ENDIAN)
_ALL = (samples.JPEG_2000, samples.RLE, samples.JPEG_BASELINE, samples.JPEG_LS)


def orthanc(scale: Scale) -> list[Placed]:
    """For Debian's Orthanc, over C-MOVE."""
    maker = Maker(1, "ORT")
    placed = [*_usual(maker, scale, Traits(_ALL, classes=True))]
    placed += _undeliverable(maker) + _undecodable(maker)
    return placed + _shared_collision(first=True)


def dcmqrscp_by_get(scale: Scale) -> list[Placed]:
    """For DCMTK's dcmqrscp, over C-GET."""
    maker = Maker(2, "GET")
    placed = [*_usual(maker, scale, Traits((), _UNCOMPRESSED))]
    placed += _undeliverable(maker) + _altered(maker, b"GET-", b"XXX-")
    return placed + _shared_variant("As it was")


def dcmqrscp_by_move(scale: Scale) -> list[Placed]:
    """For another dcmqrscp, over C-MOVE."""
    maker = Maker(3, "MOV")
    placed = [*_usual(maker, scale, Traits((), _UNCOMPRESSED))]
    placed += _undeliverable(maker) + _altered(maker, b"MOV0", b"VOM0")
    return placed + _shared_variant("As somebody changed it")


def archive(scale: Scale) -> list[Placed]:
    """For an archive of ours, over DICOMweb."""
    maker = Maker(4, "WEB")
    placed = [*_usual(maker, scale, Traits(_ALL, classes=True, private_syntax=True))]
    placed += _undeliverable(maker)
    odd = maker.study(_FEW)
    odd[1] = odd[1].at_fault(CORRUPTED, "source-error", becomes=with_other_pixels(odd[1].data))
    return placed + odd + _shared_collision(first=False) + _shared_identical()


def folder(scale: Scale) -> list[Placed]:
    """For a folder tree."""
    maker = Maker(5, "DIR")
    placed = [*_usual(maker, scale, Traits(_ALL, classes=True, private_syntax=True))]
    broken = maker.study(1)[0]
    unknown = InstanceUids("", "", "")
    placed += [
        replace(broken, uids=unknown, data=broken.data[:340]).at_fault(UNREADABLE, "unreadable")
    ]
    same = maker.study(_FEW)
    other = replace(same[0], data=with_other_pixels(same[0].data))
    same[0], other = (
        replace(one.at_fault(COLLISION, "uid-collision"), twin="in a folder")
        for one in (same[0], other)
    )
    changed = same[1].data.replace(b"Person^DIR", b"PERSON^DIR")
    placed += [*same, other, replace(same[1], data=changed, oddity=VARIANT)]
    placed += [replace(same[2], oddity=IDENTICAL)]
    return placed + _undecodable(maker) + _shared_identical()


def _usual(maker: Maker, scale: Scale, traits: Traits) -> Iterator[Placed]:
    """What every silo holds."""
    yield from maker.ordinary(scale.studies, scale.series, scale.images)
    yield from maker.study(_FEW, NO_DATE, StudyDate="")
    yield from maker.study(_FEW, BAD_DATE, StudyDate="20011399")
    latin = "ISO_IR 100"
    cyrillic = {"PatientName": _CYRILLIC, "StationName": CYRILLIC_STATION}
    yield from maker.study(_FEW, CHARSET, SpecificCharacterSet=latin, **cyrillic)
    yield from maker.study(_FEW, WINDOWS, SpecificCharacterSet=latin, PatientName=_WINDOWS)
    name = maker.common()["PatientName"]
    yield from maker.study(_FEW, TWO_DOMAINS, PatientID=SHARED_PATIENT, PatientName=name)
    yield from _syntaxes(maker, traits)
    yield from _classes(maker, traits)


def _syntaxes(maker: Maker, traits: Traits) -> Iterator[Placed]:
    """A study with a series in each syntax."""
    study, common = maker.new_study(), maker.common()
    for series, syntax in enumerate(traits.plain, 1):
        uids = maker.uids(study, series, 1)
        yield Placed(uids, maker.image(uids, syntax, **common), _PLAIN[syntax])
    for series, syntax in enumerate(traits.syntaxes, 11):
        uids = maker.uids(study, series, 1)
        yield Placed(uids, maker.compressed(uids, syntax, **common), COMPRESSED)
    if traits.private_syntax:
        uids = maker.uids(study, 21, 1)
        yield Placed(uids, maker.compressed(uids, PRIVATE_SYNTAX, **common), SYNTAX_OF_ITS_OWN)


def _classes(maker: Maker, traits: Traits) -> Iterator[Placed]:
    """A study with objects that are no images."""
    study, common = maker.new_study(), maker.common()
    for series, (uid, modality) in enumerate(((_REPORT, "SR"), (_KEY_OBJECT, "KO")), 1):
        uids = maker.uids(study, series, 1)
        yield Placed(uids, maker.report(uids, uid, **common | {"Modality": modality}), NO_PIXELS)
    if traits.classes:
        uids = maker.uids(study, 9, 1)
        data = maker.report(uids, PRIVATE_CLASS, **common | {"Modality": "OT"})
        yield Placed(uids, data, CLASS_OF_ITS_OWN)


def _undeliverable(maker: Maker) -> list[Placed]:
    """A study of which one object gets lost."""
    placed = maker.study(_FEW)
    placed[1] = placed[1].at_fault(UNDELIVERABLE, "not-delivered", "source-error", becomes=b"")
    return placed


def _altered(maker: Maker, before: bytes, after: bytes) -> list[Placed]:
    """A study of which one object gets another header than the silo tells of."""
    placed = maker.study(_FEW)
    changed = placed[1].data.replace(before, after)
    placed[1] = placed[1].at_fault(CORRUPTED, "header-differs", becomes=changed)
    return placed


def _undecodable(maker: Maker) -> list[Placed]:
    """A study of which one compressed object goes bad."""
    placed = maker.study(_FEW)
    uids = placed[1].uids
    good = maker.compressed(uids, samples.JPEG_2000, **maker.common())
    bad = Placed(uids, good).at_fault(CORRUPTED, "not-decodable", becomes=damaged(good))
    return [placed[0], bad, placed[2]]


def _shared(common: dict[str, str], number: int) -> list[Placed]:
    """A study that two silos have."""
    maker = Maker(EVERYWHERE, "ALL")
    all_uids = [maker.uids(number, 1, image) for image in range(1, _FEW + 1)]
    fixed = {"PatientID": f"ALL-{number}", "PatientName": "Person^Everywhere", **common}
    return [Placed(uids, maker.image(uids, **fixed)) for uids in all_uids]


def _shared_collision(*, first: bool) -> list[Placed]:
    placed = _shared({}, 1)
    one = placed[2]
    data = one.data if first else with_other_pixels(one.data)
    one = replace(one.at_fault(COLLISION, "uid-collision"), data=data, twin="in two silos")
    return [*placed[:2], one]


def _shared_variant(description: str) -> list[Placed]:
    placed = _shared({"SeriesDescription": description}, 2)
    return [replace(one, oddity=VARIANT) for one in placed]


def _shared_identical() -> list[Placed]:
    return [replace(one, oddity=IDENTICAL) for one in _shared({}, 3)]

"""What the mutation starts from: objects made here, and the real files that are at hand."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from tests import samples
from tests.samples import BIG_ENDIAN, DEFLATED, EXPLICIT, IMPLICIT
from vna.dicom.part10 import file_meta

SYNTAXES = (EXPLICIT, IMPLICIT, BIG_ENDIAN, DEFLATED)
MAX_SEED = 8192
_MAX_FILES = 60


@lru_cache(maxsize=1)
def made_objects() -> tuple[bytes, ...]:
    """Part 10 objects that between them have each form in which something is written."""
    sequence: list[samples.Elements] = [
        {"ConceptCodeSequence": [{"CodeValue": "1"}]},
        {"CodeValue": "2"},
    ]
    nested = samples.identity(ProcedureCodeSequence=sequence)
    uids = ("1.2", "1.2.3")
    return (
        *(samples.small(uid) for uid in SYNTAXES),
        *(samples.ct(rows=4, columns=4, transfer_syntax_uid=uid) for uid in SYNTAXES),
        *(samples.multiframe(3, transfer_syntax_uid=uid) for uid in SYNTAXES[:3]),
        samples.multiframe(5, rows=3, columns=5, bits=1),
        samples.encapsulated([[b"\xff\xd8\xff\xe0", b"ab"], [b"\xff\xd8\xff\xe1"]]),
        samples.encapsulated([[b"abcd"], [b"ef"]], table=b"", NumberOfFrames="2"),
        *(
            file_meta(*uids, uid) + samples.writer(uid, undefined=True).dataset(nested)
            for uid in SYNTAXES[:3]
        ),
        samples.small(SpecificCharacterSet="ISO_IR 192", PatientName="Müller^Jörg"),
        samples.small(
            SpecificCharacterSet=["", "ISO 2022 IR 87"], PatientName="Yamada^Tarou=\x1b$B;3ED\x1b(B"
        ),
    )


@lru_cache(maxsize=1)
def real_objects() -> tuple[bytes, ...]:
    """The beginnings of real files: pydicom's, and those of the corpus beside the checkout."""
    return tuple(_heads())


def _heads() -> Iterator[bytes]:
    for paths in (samples.pydicom_files(), samples.corpus_files()):
        smallest = sorted(paths, key=lambda path: path.stat().st_size)
        step = max(1, len(smallest) // _MAX_FILES)
        for path in smallest[::step]:
            with path.open("rb") as file:
                yield file.read(MAX_SEED)


def missing() -> list[str]:
    """Why the seeds are fewer than they could be, a line each."""
    if samples.corpus_files():
        return []
    return ["there is no folder of further real files beside the checkout: its seeds are left out"]

"""Large objects for a store that encrypts: they wait sealed, are read in pieces, and become objects by their name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from storage_backends.encryption import EncryptedBackend
from storage_backends.filesystem import FilesystemBackend
from tests import samples
from tests.backends.test_encrypted_contract import keyring
from tests.services.conftest import Bench, make_bench
from vna.dicom.header import read_header
from vna.index.database import Database
from vna.model.identifiers import Selection
from vna.model.instances import Outcome, StoredInstance
from vna.services.store import StoreOutcome
from vna.spool_files import HiddenFile

FRAGMENTS = [[bytes([number]) * 9000] for number in range(20)]
IMAGES = {
    "native": samples.ct(),
    "encapsulated": samples.encapsulated(FRAGMENTS),
    "without a table": samples.encapsulated(FRAGMENTS, table=b""),
}


@pytest.fixture
def sealed(database: Database, tmp_path: Path) -> Iterator[Bench]:
    backend = EncryptedBackend(FilesystemBackend(tmp_path / "sealed"), keyring("one"))
    yield make_bench(database, backend, tmp_path / "spool")
    backend.close()


def stored(bench: Bench, kept: StoreOutcome) -> StoredInstance:
    uids = (kept.uids.sop_instance_uid,)
    (found,) = bench.retrieve.select(Selection(sop_instance_uids=uids))
    return found


@pytest.mark.parametrize("kind", IMAGES)
def test_an_image_is_kept_as_it_would_be_unsealed(
    kind: str, sealed: Bench, bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("its bytes were written once more")

    monkeypatch.setattr(HiddenFile, "mapped", never)
    monkeypatch.setattr(EncryptedBackend, "put", never)
    data = IMAGES[kind]
    kept = sealed.keep(data)
    assert kept.outcome is Outcome.STORED
    instance = stored(sealed, kept)
    assert bytes(sealed.retrieve.load_whole(instance)) == data
    assert sealed.retrieve.frame_table(instance) == read_header(data).frames
    assert not any(data[-2000:] in file.read_bytes() for file in tmp_path.rglob("*.dcm"))
    again = bench.keep(data)
    assert (again.outcome, again.dataset_digest) == (Outcome.DUPLICATE, kept.dataset_digest)
    assert kept.warnings == ()


def test_what_has_no_pixels_is_kept_too(sealed: Bench) -> None:
    document = samples.small(EncapsulatedDocument=bytes(100_000))
    kept = sealed.keep(document)
    assert kept.outcome is Outcome.STORED
    assert bytes(sealed.retrieve.load_whole(stored(sealed, kept))) == document


def test_a_duplicate_and_a_conflict_are_found(sealed: Bench) -> None:
    kept = sealed.keep(IMAGES["native"])
    assert sealed.keep(IMAGES["native"]).outcome is Outcome.DUPLICATE
    assert len(list(sealed.backend.scan())) == 1
    uids = kept.uids
    other = samples.ct_at(
        uids.study_instance_uid, uids.series_instance_uid, uids.sop_instance_uid, rows=4096
    )
    assert sealed.keep(other).outcome is Outcome.CONFLICT
    assert len(list(sealed.backend.scan())) == 2

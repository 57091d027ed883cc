"""An archive over several backends in folders, for tests of how it lives with copies."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from storage_backends.base import StorageBackend
from storage_backends.filesystem import FilesystemBackend
from tests import samples
from tests.services.conftest import Bench, make_bench_over
from vna.config_storage import BackendConfig, RuleConfig, StorageConfig
from vna.index.database import Database
from vna.model.identifiers import Selection
from vna.model.instances import Location, StoredInstance

STUDY = "1.2"


def instance(number: int, comments: str = "", modality: str = "CT") -> bytes:
    """A small image of one study."""
    return samples.small(
        SOPInstanceUID=f"1.2.{number}",
        StudyInstanceUID=STUDY,
        SeriesInstanceUID=f"1.2.0.{modality == 'CT':d}",
        Modality=modality,
        PatientComments=comments,
    )


class Folders:
    """Backends by name, each in a folder of its own."""

    def __init__(self, directory: Path, names: str) -> None:
        self.directory = directory
        self.backends: Mapping[str, StorageBackend] = {
            name: self._opened(name) for name in names.split()
        }

    def _opened(self, name: str) -> StorageBackend:
        backend = FilesystemBackend(self.directory / name)
        backend.name = name
        return backend

    def storage(
        self,
        copies: str,
        later: str = "",
        drain: str = "",
        rules: Mapping[str, RuleConfig] | None = None,
    ) -> StorageConfig:
        """A configuration with these backends."""
        backends = {
            name: BackendConfig("filesystem", {"root": name}, drain=name in drain.split())
            for name in self.backends
        }
        return StorageConfig(
            copies.split(maxsplit=1)[0],
            copies=tuple(copies.split()),
            later=tuple(later.split()),
            backends=backends,
            rules=rules or {},
        )

    def bench(self, database: Database, storage: StorageConfig) -> Bench:
        """The archive under that configuration, as a process of its own would have it."""
        return make_bench_over(database, self.backends, storage, self.directory / "spool")

    def keys(self, name: str) -> list[str]:
        """What is in a backend."""
        return [info.key for info in self.backends[name].scan()]

    def damage(self, place: Location) -> None:
        """Change the last byte of an object."""
        path = self._path(place)
        data = bytearray(path.read_bytes())
        data[-1] ^= 1
        path.chmod(0o640)
        path.write_bytes(bytes(data))

    def _path(self, place: Location) -> Path:
        name = place.key.rpartition("/")[2]
        (path,) = (self.directory / place.backend).rglob(name)
        return path

    def close(self) -> None:
        """Close all of them."""
        for backend in self.backends.values():
            backend.close()


def found(bench: Bench, number: int) -> StoredInstance:
    """A visible instance."""
    (item,) = bench.retrieve.select(Selection(sop_instance_uids=(f"1.2.{number}",)))
    return item


def places(bench: Bench, number: int) -> list[Location]:
    """Where an instance lies: its location, then its copies by backend."""
    location = found(bench, number).location
    return [location, *bench.index.replicas.copies_of(location)]


def where(bench: Bench, number: int) -> list[str]:
    """The backends that have an instance, that of its location first."""
    return [place.backend for place in places(bench, number)]


def read(bench: Bench, number: int) -> bytes:
    """The bytes of an instance, verified."""
    return bytes(bench.retrieve.load_whole(found(bench, number)))

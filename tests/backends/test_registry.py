"""Backends by name."""

from __future__ import annotations

from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest

from storage_backends import registry
from storage_backends.errors import InvalidOptions
from storage_backends.memory import MemoryBackend
from storage_backends.registry import known_backends, open_backend
from storage_backends.testing import put


def test_the_built_in_ones_open(tmp_path: Path) -> None:
    for kind in ("memory", "filesystem"):
        backend = open_backend(kind, {}, data_dir=tmp_path)
        assert backend.name == kind
        put(backend, "a.dcm", b"x")
        backend.close()
    assert (tmp_path / "objects" / "a.dcm").read_bytes() == b"x"


def test_the_root_of_a_filesystem_may_be_anywhere(tmp_path: Path) -> None:
    for root in ("below", str(tmp_path / "elsewhere")):
        open_backend("filesystem", {"root": root}, data_dir=tmp_path / "data").close()
    assert (tmp_path / "data" / "below").is_dir()
    assert (tmp_path / "elsewhere").is_dir()


@pytest.mark.parametrize("kind", ["memory", "filesystem"])
def test_an_unknown_option_is_named(tmp_path: Path, kind: str) -> None:
    with pytest.raises(InvalidOptions, match="'rot'"):
        open_backend(kind, {"rot": "x"}, data_dir=tmp_path)


def test_an_unknown_driver_is_named_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(InvalidOptions, match=r"'tape'.*filesystem, memory"):
        open_backend("tape", {}, data_dir=tmp_path)


def _third_party(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    points = EntryPoints([EntryPoint("tape", value, registry.ENTRY_POINT_GROUP)])
    monkeypatch.setattr(registry, "entry_points", points.select)


def make_tape(options: dict[str, str], data_dir: Path) -> MemoryBackend:
    """A third party's factory."""
    return MemoryBackend(f"tape {options['drive']} {data_dir.name}")


def test_third_parties_register_by_entry_point(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _third_party(monkeypatch, "tests.backends.test_registry:make_tape")
    assert known_backends() == ("filesystem", "memory", "s3", "tape")
    backend = open_backend("tape", {"drive": "1"}, data_dir=tmp_path / "data")
    assert backend.name == "tape 1 data"


def test_a_third_party_that_cannot_be_loaded_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _third_party(monkeypatch, "no_such_module:make")
    with pytest.raises(InvalidOptions, match="no_such_module"):
        open_backend("tape", {}, data_dir=tmp_path)

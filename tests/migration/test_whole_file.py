"""Files that are there whole, or not at all."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from vna.errors import ConfigError, VnaError
from vna.migration.whole_file import whole_file


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_it_has_its_name_when_it_is_whole(tmp_path: Path) -> None:
    with whole_file(tmp_path / "a") as file:
        file.write(b"whole")
        assert "a" not in names(tmp_path)
    assert (tmp_path / "a").read_bytes() == b"whole"
    assert names(tmp_path) == ["a"]


def test_one_that_is_there_stays_or_is_replaced_at_once(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(ConfigError, match="another name"), whole_file(tmp_path / "a"):
        pass
    with whole_file(tmp_path / "a", replaces=True) as file:
        file.write(b"new")
        assert (tmp_path / "a").read_bytes() == b"old"
    assert (tmp_path / "a").read_bytes() == b"new"


def test_of_two_that_are_made_at_once_one_wins(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="another name"), whole_file(tmp_path / "a") as file:
        (tmp_path / "a").write_bytes(b"the other")
        file.write(b"too late")
    assert (tmp_path / "a").read_bytes() == b"the other"
    assert names(tmp_path) == ["a"]


def test_what_goes_wrong_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(VnaError, match="No space left"), whole_file(tmp_path / "a"):
        raise OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(LookupError), whole_file(tmp_path / "a"):
        raise LookupError
    with pytest.raises(ConfigError, match="cannot be written"), whole_file(tmp_path / "b" / "a"):
        pass
    assert names(tmp_path) == []


def test_where_there_are_no_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    with whole_file(tmp_path / "a") as file:
        file.write(b"whole")
    assert (tmp_path / "a").read_bytes() == b"whole"
    assert names(tmp_path) == ["a"]

"""The secret that an archive makes for itself."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from vna.errors import ConfigError
from vna.own_secret import own_secret


def test_it_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "a.secret"
    found = own_secret(path)
    assert len(found) == 32
    assert own_secret(path) == found
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert own_secret(tmp_path / "b.secret") != found


def test_all_who_make_it_at_once_have_the_same(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: own_secret(tmp_path / "a.secret"), range(32)))
    assert len(found) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a.secret"]


def test_one_that_can_not_be_used(tmp_path: Path) -> None:
    (tmp_path / "a.secret").write_text("no number")
    with pytest.raises(ConfigError, match="damaged"):
        own_secret(tmp_path / "a.secret")
    (tmp_path / "a.secret").write_text("")
    with pytest.raises(ConfigError, match="damaged"):
        own_secret(tmp_path / "a.secret")
    with pytest.raises(ConfigError, match="cannot make"):
        own_secret(tmp_path / "none" / "a.secret")

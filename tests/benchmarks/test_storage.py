"""The benchmarks of storage run, in their short forms, and what they measure with does what it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from storage_backends.s3 import S3Backend
from storage_backends.testing import read
from tests.backends.conftest import s3_server
from tests.benchmarks import (
    raw_s3,
    storage_frames,
    storage_index,
    storage_stores,
    storage_verification,
)
from tests.s3_server import S3Server

__all__ = ["s3_server"]


def test_each_side_has_its_turn_and_another_one_begins() -> None:
    order: list[str] = []

    def side(name: str) -> storage_stores.Side:
        return lambda: [float(order.append(name) or len(order))]  # type: ignore[func-returns-value]

    rounds = storage_stores.in_turns({name: side(name) for name in "ab"}, 2)
    assert order == ["a", "b", "b", "a"]
    assert rounds == [{"a": [1.0], "b": [2.0]}, {"b": [3.0], "a": [4.0]}]


def test_the_middle_is_a_round_as_it_was() -> None:
    rounds = [
        {"a": [1.0, 0.0], "b": [2.0, 0.0]},
        {"a": [9.0], "b": [1.0]},
        {"a": [4.0], "b": [5.0]},
    ]
    assert storage_stores.middle(rounds, "a", "b") == (4.0, 5.0)


def test_the_raw_client_stores_what_the_driver_finds(s3_server: S3Server) -> None:
    assert raw_s3.put_rate(s3_server, b"some bytes", clients=2, count=4) > 0
    driver = S3Backend(s3_server.options())
    keys = [info.key for info in driver.scan("raw/")]
    assert len(keys) == 4 + 1
    assert {read(driver, key) for key in keys} == {b"some bytes"}
    driver.close()


def test_an_index_is_weighed(tmp_path: Path) -> None:
    total, *relations = storage_index.measured(tmp_path, 300)
    assert total.name == "Postgres for each of 400 instances"
    assert {"of these instance", "of these location"} <= {row.name for row in relations}
    assert sum(row.value for row in relations) <= total.value


def test_files_are_verified(tmp_path: Path) -> None:
    rows = list(storage_verification.from_files(tmp_path, short=True))
    assert [row.unit for row in rows] == ["MB/s"] * 4
    assert all(row.value > 0 for row in rows)


@pytest.mark.slow
def test_frames_come_from_a_bucket(tmp_path: Path) -> None:
    (row,) = storage_frames.from_bucket(tmp_path, short=True)
    assert row.value > 0
    assert row.floor > 0


@pytest.mark.slow
def test_images_go_to_a_bucket(tmp_path: Path) -> None:
    rows = list(storage_stores.into_bucket(tmp_path, short=True))
    assert [row.unit for row in rows] == ["/s", "/s", "/s", "/s", "s", "s"]
    assert all(row.value > 0 and row.floor > 0 for row in rows)


@pytest.mark.slow
def test_images_are_encrypted(tmp_path: Path) -> None:
    rows = list(storage_stores.encrypted(tmp_path, short=True))
    assert [row.unit for row in rows] == ["/s", "s"]
    assert all(row.value > 0 and row.floor > 0 for row in rows)

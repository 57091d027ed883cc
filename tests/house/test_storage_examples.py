"""The examples of storage in the documents are taken by an archive, and every option of the S3 driver is told."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from storage_backends.s3.options import S3Options, read_options
from tests.house.project import ROOT
from vna.config import load_config

_OPERATIONS = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
_EXAMPLES = [
    block
    for block in re.findall(r"```toml\n(.*?)```", _OPERATIONS, flags=re.DOTALL)
    if block.startswith("[storage]")
]
_SPELLED_OTHERWISE = {"part_bytes": "part_size"}


@pytest.mark.parametrize("text", _EXAMPLES)
def test_an_example_is_accepted(text: str, tmp_path: Path) -> None:
    (tmp_path / "vna.toml").write_text(text, encoding="utf-8")
    storage = load_config(tmp_path / "vna.toml", {}).storage
    used = [backend.options for backend in storage.backends.values() if backend.driver == "s3"]
    if storage.backend == "s3":
        used.append(storage.options)
    for options in used:
        assert read_options(options, tmp_path).bucket


def test_there_are_examples_for_several_stores() -> None:
    text = "".join(_EXAMPLES)
    assert all(store in text for store in ("minio", "rgw", "amazonaws", "storage.backends"))


def test_every_option_of_the_driver_is_told() -> None:
    names = {_SPELLED_OTHERWISE.get(field.name, field.name) for field in fields(S3Options)}
    told = set(re.findall(r"`([a-z_0-9]+)`", _OPERATIONS))
    files = {name for name in names if name.removesuffix("_file") in told}
    assert names - told - files == set()

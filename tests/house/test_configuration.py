"""config/vna.toml lists every key with its default, and every example loads."""

from __future__ import annotations

import dataclasses
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.house.project import ROOT, files, read
from vna.config import Config, load_config
from vna.config_values import build

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_COMMENTED = re.compile(r"#(?=\[|\w+ = )")
_KEY = re.compile(r"#\w+ = ")


def uncommented() -> dict[str, dict[str, object]]:
    """The shipped file with every commented key switched on."""
    return tomllib.loads("\n".join(_COMMENTED.sub("", line, count=1) for line in lines()))


def lines() -> list[str]:
    """The lines of the shipped file."""
    return read("config/vna.toml").splitlines()


def keys() -> Iterator[tuple[str, str, object]]:
    """(section, key, default) of the whole configuration."""
    for section in dataclasses.fields(Config):
        part = getattr(Config(), section.name)
        for key in dataclasses.fields(part):
            yield section.name, key.name, getattr(part, key.name)


@pytest.mark.parametrize(("section", "key", "default"), list(keys()))
def test_every_key_is_listed_with_its_default(section: str, key: str, default: object) -> None:
    listed = uncommented()[section]
    assert key in listed, f"config/vna.toml lacks [{section}] {key}"
    if dataclasses.is_dataclass(default) and not isinstance(default, type):
        assert_lists_defaults(listed[key], default)
    elif isinstance(default, Mapping):
        assert isinstance(listed[key], dict)
    elif isinstance(default, Path):
        assert Path(str(listed[key])) == default
    elif isinstance(default, tuple):
        assert listed[key] == list(default)
    else:
        assert listed[key] == default
        assert type(listed[key]) is type(default)


def assert_lists_defaults(table: object, default: DataclassInstance) -> None:
    """A table in a table; the names that a user chooses in it are examples, no defaults."""
    assert isinstance(table, dict)
    values = {part.name: getattr(default, part.name) for part in dataclasses.fields(default)}
    assert table.keys() == values.keys()
    examples = {key: value for key, value in values.items() if isinstance(value, Mapping)}
    assert build(type(default), {**table, **examples}) == default


def test_it_lists_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "vna.toml"
    path.write_text("\n".join(_COMMENTED.sub("", line, count=1) for line in lines()))
    config = load_config(path, {})
    assert config.dimse.destinations["PACS"].port == 104


def test_as_shipped_it_changes_nothing() -> None:
    assert load_config(ROOT / "config/vna.toml", {}) == Config()


def test_every_key_is_explained_above_it() -> None:
    text = lines()
    explained = ("# ", "#[", "[")
    bare = [
        line
        for number, line in enumerate(text)
        if _KEY.match(line)
        and not text[number - 1].startswith(explained)
        and not _KEY.match(text[number - 1])
    ]
    assert bare == []


EXAMPLES = [path for path in files() if path.match("config/examples/*.toml")]


@pytest.mark.parametrize("path", EXAMPLES, ids=str)
def test_every_example_loads(path: Path) -> None:
    assert load_config(ROOT / path, {}) != Config()


def test_the_image_publishes_the_default_ports() -> None:
    config = Config()
    assert f"EXPOSE {config.dimse.port} {config.web.port}" in read("Dockerfile")
    compose = read("compose.yaml")
    for port in (config.dimse.port, config.web.port):
        assert f"127.0.0.1:{port}:{port}" in compose


@pytest.mark.parametrize("path", ["Dockerfile", "compose.yaml", "config/examples/vna.service"])
def test_deployment_files_set_only_variables_that_exist(path: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("postgresql://vna@postgres/vna", encoding="utf-8")
    values = {"port": "104", "allow_any_ae": "true", "allow_anonymous": "true", "format": "json"}
    names = set(re.findall(r"VNA__\w+", read(path)))
    environment = {
        name: str(secret) if name.endswith("_FILE") else values.get(_key(name), "value")
        for name in names
    }
    assert names
    assert load_config(None, environment) != Config()


def _key(name: str) -> str:
    return name.rpartition("__")[2].lower()

"""Several backends and rules for them: what is understood, and what is refused with one clear word."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner

from storage_backends.base import SupportsAdopt
from vna.bootstrap_storage import backends_of, object_store_of, spool_seals
from vna.cli import main
from vna.config import Config, load_config
from vna.config_storage import all_backends, default_copies
from vna.errors import ConfigError, Unavailable
from vna.model.instances import Location

TWO = """
[storage]
backend = "near"
copies = ["near", "far"]

[storage.backends.near]
driver = "filesystem"
[storage.backends.near.options]
root = "near"

[storage.backends.far]
driver = "filesystem"
[storage.backends.far.options]
root = "far"
[storage.backends.far.encryption]
key_file = "keys"
"""


def load(tmp_path: Path, text: str, **environment: str) -> Config:
    path = tmp_path / "vna.toml"
    path.write_text(text)
    return load_config(path, environment)


def test_the_plain_form_is_one_backend(tmp_path: Path) -> None:
    storage = load(tmp_path, '[storage.options]\nroot = "images"\n').storage
    (name,) = all_backends(storage)
    assert name == "filesystem"
    assert all_backends(storage)[name].options == {"root": "images"}
    assert default_copies(storage) == ("filesystem",)


def test_named_backends_stand_beside_the_plain_one(tmp_path: Path) -> None:
    storage = load(tmp_path, '[storage.backends.bucket]\ndriver = "s3"\n').storage
    assert list(all_backends(storage)) == ["filesystem", "bucket"]
    assert default_copies(storage) == ("filesystem",)


def test_a_named_backend_takes_the_place_of_the_plain_one(tmp_path: Path) -> None:
    storage = load(tmp_path, TWO).storage
    assert list(all_backends(storage)) == ["near", "far"]
    assert default_copies(storage) == ("near", "far")


def test_a_named_backend_is_set_by_the_environment_too(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hush\n")
    names = {"DRIVER": "s3", "OPTIONS__secret_key_FILE": str(secret), "DRAIN": "true"}
    environment = {f"VNA__STORAGE__BACKENDS__old__{key}": value for key, value in names.items()}
    backend = load(tmp_path, "", **environment).storage.backends["old"]
    assert (backend.driver, backend.drain) == ("s3", True)
    assert backend.options == {"secret_key": "hush"}


def test_secrets_of_named_backends_are_shown_to_nobody(tmp_path: Path) -> None:
    path = tmp_path / "vna.toml"
    options = "{access_key = 'known', secret_key = 'hush', secret_key_file = 'where'}"
    path.write_text(f"[storage.backends.far]\ndriver = 's3'\noptions = {options}\n")
    shown = CliRunner().invoke(main, ["config", "show", "--config", str(path)])
    backend = orjson.loads(shown.output)["storage"]["backends"]["far"]
    assert backend["options"] == {
        "access_key": "known",
        "secret_key": "***",
        "secret_key_file": "where",
    }


def test_the_same_driver_twice_makes_two_backends(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("k:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n")
    backends = backends_of(load(tmp_path, TWO).storage, tmp_path)
    assert [backend.name for backend in backends.values()] == ["near", "far"]
    assert isinstance(backends["near"], SupportsAdopt)
    assert not isinstance(backends["far"], SupportsAdopt), "what is encrypted is no renamed file"
    for backend in backends.values():
        backend.close()


KEYS = '[storage.encryption]\nkey_file = "keys"\n'
RULES = """
[storage.rules.one]
modality = ["CT"]
later = ["near"]
[storage.rules.two]
modality = ["MR"]
copies = ["{}"]
"""


@pytest.mark.parametrize(
    ("text", "seals"),
    [
        ("", False),
        (KEYS, True),
        (TWO, False),
        (TWO.replace('["near", "far"]', '["far", "near"]'), True),
        (TWO.replace('["near", "far"]', '["far"]') + RULES.format("far"), True),
        (TWO.replace('["near", "far"]', '["far"]') + RULES.format("near"), False),
    ],
)
def test_the_spool_seals_for_who_encrypts_whatever_comes(
    tmp_path: Path, text: str, seals: bool
) -> None:
    assert spool_seals(load(tmp_path, text).storage) is seals


def test_who_gets_new_objects_has_to_take_them(tmp_path: Path) -> None:
    text = (
        TWO.replace('["near", "far"]', '["far"]')
        + RULES.format("far")
        + '[storage.backends.old]\ndriver = "filesystem"\n'
    )
    storage = load(tmp_path, text + 'options = {root = "old"}\n').storage
    (tmp_path / "keys").write_text("k:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n")
    objects = object_store_of(storage, tmp_path)
    for folder in ("near", "far", "old"):
        (tmp_path / folder).rename(tmp_path / f"{folder} is gone")
        (tmp_path / folder).write_text("in the way")
    for name in ("near", "far"):
        with pytest.raises(Unavailable):
            objects.probe_one(name)
    objects.probe_one("old")
    objects.close()


def test_a_drained_backend_is_read_and_gets_nothing_new(tmp_path: Path) -> None:
    text = '[storage.backends.old]\ndriver = "filesystem"\ndrain = true\noptions = {root = "old"}\n'
    objects = object_store_of(load(tmp_path, text).storage, tmp_path)
    assert objects.draining == {"old"}
    assert objects.names == ("filesystem", "old")
    assert objects.place("key", 1) == Location("filesystem", "key", 0, 1)
    objects.close()


RULE = "[storage.backends.far]\ndriver = 's3'\n[storage.rules.r]\n"
FIRST = "[storage.rules.first]\n{}\n[storage.rules.second]\n{}\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[storage]\ncopies = ["nowhere"]', "storage.copies: there is no backend 'nowhere'"),
        ('[storage]\nlater = ["nowhere"]', "storage.later: there is no backend 'nowhere'"),
        (RULE + 'copies = ["nowhere"]', "storage.rules.r.copies: there is no backend 'nowhere'"),
        (RULE + 'later = ["filesystem"]', "storage.rules.r: filesystem is named twice"),
        (RULE + 'copies = ["far", "far"]', "storage.rules.r: far is named twice"),
        (RULE + "min_bytes = 2\nmax_bytes = 1", "storage.rules.r can never match: max_bytes"),
        (RULE + "min_bytes = -1", "must be at least 0"),
        (RULE + 'modality = [""]', "storage.rules.r.modality has an empty value"),
        (RULE + "tags = {StationName = ''}", "storage.rules.r.tags.StationName is empty"),
        (
            '[storage.backends.old]\ndriver = "s3"\ndrain = true\n[storage.rules.r]\nlater = ["old"]',
            "storage.rules.r.later: old is being drained",
        ),
        (
            '[storage]\nbackend = "old"\n[storage.backends.old]\ndriver = "s3"\ndrain = true',
            "storage.copies: old is being drained",
        ),
        ("[storage.backends.'a b']\ndriver = 's3'", "must be letters, digits"),
        ("[storage.backends.a]\n", r"\[storage.backends.a\] lacks the key driver"),
        (
            "[storage.backends.a]\ndriver = 's3'\n[storage.backends.b]\ndriver = 's3'",
            "a and b have the same driver and options",
        ),
        (
            "[storage]\nbackend = 'a'\noptions = {root = 'x'}\n[storage.backends.a]\ndriver = 's3'",
            r"put what is in storage.options and storage.encryption there",
        ),
        (
            "[storage.backends.a]\ndriver = 's3'\nencryption = {key_file = 'a', key_variable = 'B'}",
            "storage.backends.a.encryption: key_file",
        ),
    ],
)
def test_what_can_not_be_meant_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(tmp_path, text)


COVERED = [
    ("", "modality = ['CT']"),
    ("modality = ['CT', 'MR']", "modality = ['CT']"),
    ("modality = ['*']", "modality = ['C?']"),
    ("min_bytes = 10", "min_bytes = 20\nmax_bytes = 30"),
    ("max_bytes = 30", "min_bytes = 20\nmax_bytes = 30"),
    ("tags = {StationName = 'CT*'}", "tags = {StationName = 'CT1', PatientSex = 'F'}"),
    (
        "sop_class_uid = ['1.2']\ncalling_ae = ['A*']",
        "sop_class_uid = ['1.2']\ncalling_ae = ['AB']",
    ),
]


@pytest.mark.parametrize(("first", "second"), COVERED)
def test_a_rule_behind_a_wider_one_can_never_match(tmp_path: Path, first: str, second: str) -> None:
    message = "storage.rules.second can never match: storage.rules.first stands before it"
    with pytest.raises(ConfigError, match=message):
        load(tmp_path, FIRST.format(first, second))
    if first:
        load(tmp_path, FIRST.format(second, first))  # the narrower one first


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("modality = ['CT']", "min_bytes = 1"),
        ("modality = ['CT']", "modality = ['CT', 'MR']"),
        ("max_bytes = 30", "min_bytes = 20"),
        ("tags = {StationName = 'CT1'}", "tags = {StationName = 'CT*'}"),
        ("modality = ['[A]']", "modality = ['A']"),
    ],
)
def test_rules_that_overlap_are_fine(tmp_path: Path, first: str, second: str) -> None:
    assert len(load(tmp_path, FIRST.format(first, second)).storage.rules) == 2


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("driver = 'filesystem'\noptions = {root = 'objects'}", "driver = 'filesystem'"),
        (
            "driver = 'filesystem'\noptions = {root = 'a/b'}",
            "driver = 'filesystem'\noptions = {root = 'a'}",
        ),
        (
            "driver = 's3'\noptions = {bucket = 'x', prefix = 'p/q'}",
            "driver = 's3'\noptions = {bucket = 'x', prefix = 'p'}",
        ),
        (
            "driver = 's3'\noptions = {BUCKET = 'x'}",
            "driver = 's3'\noptions = {bucket = 'x', prefix = 'p'}",
        ),
    ],
)
def test_two_backends_in_one_place_are_refused(tmp_path: Path, one: str, other: str) -> None:
    text = f"[storage]\nbackend = 'a'\n[storage.backends.a]\n{one}\n[storage.backends.b]\n{other}\n"
    with pytest.raises(ConfigError, match="keep their objects in one place"):
        backends_of(load(tmp_path, text).storage, tmp_path)

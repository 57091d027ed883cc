"""From the configuration to backends within their wrappers."""

from __future__ import annotations

import base64
import io
import sys
from pathlib import Path

import pytest

from storage_backends.base import StorageBackend
from storage_backends.digests import digest_of
from vna.bootstrap_storage import backends_of
from vna.config import load_config
from vna.config_storage import EncryptionConfig, StorageConfig
from vna.errors import ConfigError

_LINE = f"2026:{base64.b64encode(bytes(32)).decode()}"
_PLAIN = b"PATIENT^NAME" * 100


def _the_backend(storage: StorageConfig, data_dir: Path) -> StorageBackend:
    (backend,) = backends_of(storage, data_dir).values()
    return backend


def _stored(backend: StorageBackend, folder: Path) -> bytes:
    """What lies on disk after one object was put and read."""
    backend.put("object", io.BytesIO(_PLAIN), size=len(_PLAIN), digest=digest_of(_PLAIN))
    with backend.open("object") as reader:
        assert reader.read() == _PLAIN
    backend.close()
    (path,) = (path for path in (folder / "objects").rglob("object*") if path.is_file())
    return path.read_bytes()


def test_nothing_is_encrypted_without_keys(tmp_path: Path) -> None:
    assert _stored(_the_backend(StorageConfig(), tmp_path), tmp_path) == _PLAIN


@pytest.mark.parametrize("source", ["file", "variable", "command"])
def test_keys_come_from_where_they_are_said_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    (tmp_path / "keys").write_text(_LINE)
    monkeypatch.setenv("TEST_KEYS", _LINE)
    encryption = {
        "file": EncryptionConfig(key_file="keys"),
        "variable": EncryptionConfig(key_variable="TEST_KEYS"),
        "command": EncryptionConfig(key_command=f"{sys.executable} -c 'print(\"{_LINE}\")'"),
    }[source]
    found = _stored(_the_backend(StorageConfig(encryption=encryption), tmp_path), tmp_path)
    assert b"PATIENT" not in found
    assert b"2026" in found


def test_two_sources_of_keys_are_refused() -> None:
    environment = {
        "VNA__STORAGE__ENCRYPTION__KEY_VARIABLE": "KEYS",
        "VNA__STORAGE__ENCRYPTION__KEY_COMMAND": "keys",
    }
    with pytest.raises(ConfigError, match="exclude each other"):
        load_config(None, environment)


@pytest.mark.parametrize(
    ("storage", "message"),
    [
        (StorageConfig(encryption=EncryptionConfig(key_file="none")), "key file .*can't be read"),
        (StorageConfig(backend="s3"), "needs the option 'endpoint'"),
        (StorageConfig(backend="s3", options={"endpont": "x"}), "no option 'endpont'"),
        (StorageConfig(backend="tape"), "no storage backend is named 'tape'"),
        (StorageConfig(backend="memory"), "forgets everything"),
    ],
)
def test_what_cannot_be_opened_is_named(
    tmp_path: Path, storage: StorageConfig, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        backends_of(storage, tmp_path)


def test_options_of_s3_come_from_the_environment(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("the-secret\n")
    environment = {
        "VNA__STORAGE__BACKEND": "s3",
        "VNA__STORAGE__OPTIONS__ENDPOINT": "http://127.0.0.1:9",
        "VNA__STORAGE__OPTIONS__BUCKET": "images",
        "VNA__STORAGE__OPTIONS__ACCESS_KEY": "vna",
        "VNA__STORAGE__OPTIONS__SECRET_KEY_FILE": str(secret),
        "VNA__STORAGE__OPTIONS__PART_SIZE": "8 MiB",
    }
    config = load_config(None, environment)
    assert config.storage.options["SECRET_KEY"] == "the-secret"
    _the_backend(config.storage, tmp_path).close()

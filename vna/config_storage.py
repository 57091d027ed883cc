"""The configuration of where objects are kept, and under which keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from vna.errors import ConfigError


@dataclass(frozen=True, slots=True)
class EncryptionConfig:
    """Where the key-encryption keys come from: a file, a variable or a program; none of them: nothing is encrypted."""

    key_file: str = ""
    key_variable: str = ""
    key_command: str = ""


@dataclass(frozen=True, slots=True)
class StorageConfig:
    """Which driver new objects go to, its options, and whether it is to see them encrypted only."""

    backend: str = "filesystem"
    options: Mapping[str, str] = field(default_factory=dict)
    encryption: EncryptionConfig = field(default_factory=EncryptionConfig)


def check_storage(storage: StorageConfig) -> None:
    """Raises ConfigError for the first value that no archive could run with."""
    encryption = storage.encryption
    sources = (encryption.key_file, encryption.key_variable, encryption.key_command)
    if sum(bool(source) for source in sources) > 1:
        raise ConfigError(
            "storage.encryption: key_file, key_variable and key_command exclude each other: name one source of keys"
        )


def secret_options(storage: StorageConfig) -> list[str]:
    """The options whose values nobody should see; the files that hold such values are no secret."""
    secret = ("secret", "token", "password")
    return [
        name
        for name in storage.options
        if any(word in name.lower() for word in secret) and not name.lower().endswith("_file")
    ]

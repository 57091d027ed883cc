"""The configuration of where objects are kept, how often, and under which keys."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from vna.errors import ConfigError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_SECRET = ("secret", "token", "password")


@dataclass(frozen=True, slots=True)
class EncryptionConfig:
    """Where the key-encryption keys come from: a file, a variable or a program; none of them: nothing is encrypted."""

    key_file: str = ""
    key_variable: str = ""
    key_command: str = ""


@dataclass(frozen=True, slots=True)
class BackendConfig:
    """A place for objects: its driver with options, and whether it sees them encrypted only.

    `drain`: it gets no new objects; what it has is read.
    """

    driver: str
    options: Mapping[str, str] = field(default_factory=dict)
    encryption: EncryptionConfig = field(default_factory=EncryptionConfig)
    drain: bool = False


@dataclass(frozen=True, slots=True)
class RuleConfig:
    """Where an instance goes that meets every condition; a condition without values is met.

    `modality`, `sop_class_uid`, `calling_ae`: one of these (`*` and `?` stand for any characters, and for one).
    `min_bytes`, `max_bytes` (0: no limit): the size of the object. `tags`: values, with such wildcards, of attributes
    by keyword or tag. `copies`: the backends that have it before it is acknowledged, none: those of storage.copies;
    `later`: those that get it afterwards.
    """

    modality: tuple[str, ...] = ()
    sop_class_uid: tuple[str, ...] = ()
    calling_ae: tuple[str, ...] = ()
    min_bytes: int = 0
    max_bytes: int = 0
    tags: Mapping[str, str] = field(default_factory=dict)
    copies: tuple[str, ...] = ()
    later: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StorageConfig:
    """Where objects go.

    `backend`: the driver of a backend of that name, with `options` and `encryption`; or one of `backends`, by name.
    `copies`, none: only that one; and `later`: as RuleConfig has them, for what meets no rule.
    """

    backend: str = "filesystem"
    options: Mapping[str, str] = field(default_factory=dict)
    encryption: EncryptionConfig = field(default_factory=EncryptionConfig)
    copies: tuple[str, ...] = ()
    later: tuple[str, ...] = ()
    backends: Mapping[str, BackendConfig] = field(default_factory=dict)
    rules: Mapping[str, RuleConfig] = field(default_factory=dict)


def all_backends(storage: StorageConfig) -> Mapping[str, BackendConfig]:
    """Every backend by its name."""
    if storage.backend in storage.backends:
        return storage.backends
    plain = BackendConfig(storage.backend, storage.options, storage.encryption)
    return {storage.backend: plain, **storage.backends}


def default_copies(storage: StorageConfig) -> tuple[str, ...]:
    """The backends that have what meets no rule before it is acknowledged, the one that is read first at its head."""
    return storage.copies or (storage.backend,)


def check_storage(storage: StorageConfig) -> None:
    """Raises ConfigError for the first value that no archive could run with."""
    if storage.backend in storage.backends and (
        storage.options or storage.encryption != EncryptionConfig()
    ):
        raise ConfigError(
            f"storage.backend names [storage.backends.{storage.backend}]: "
            "put what is in storage.options and storage.encryption there"
        )
    for where, backend in _backends(storage):
        _check_encryption(f"{where}encryption", backend.encryption)
    _check_backends(storage)
    _check_places(storage, "storage", default_copies(storage), storage.later)
    for name, rule in storage.rules.items():
        _check_rule(storage, name, rule)
    _check_order(storage.rules)


def secret_options(options: Mapping[str, str]) -> list[str]:
    """The options whose values nobody should see; the files that hold such values are no secret."""
    return [
        name
        for name in options
        if any(word in name.lower() for word in _SECRET) and not name.lower().endswith("_file")
    ]


def _backends(storage: StorageConfig) -> Iterator[tuple[str, BackendConfig]]:
    """Each backend with the prefix that its keys have in the configuration."""
    for name, backend in all_backends(storage).items():
        yield f"storage.backends.{name}." if name in storage.backends else "storage.", backend


def _check_encryption(where: str, encryption: EncryptionConfig) -> None:
    sources = (encryption.key_file, encryption.key_variable, encryption.key_command)
    if sum(bool(source) for source in sources) > 1:
        raise ConfigError(
            f"{where}: key_file, key_variable and key_command exclude each other: name one source of keys"
        )


def _check_backends(storage: StorageConfig) -> None:
    seen: dict[tuple[str, tuple[tuple[str, str], ...]], str] = {}
    for name, backend in all_backends(storage).items():
        if not _NAME.fullmatch(name):
            raise ConfigError(
                f"storage.backends: {name!r} must be letters, digits, '.', '_' and '-', 64 at most"
            )
        place = backend.driver, tuple(sorted(backend.options.items()))
        other = seen.setdefault(place, name)
        if other != name:
            raise ConfigError(
                f"storage.backends: {other} and {name} have the same driver and options: they would be one place"
            )


def _check_places(
    storage: StorageConfig, where: str, copies: tuple[str, ...], later: tuple[str, ...]
) -> None:
    known = all_backends(storage)
    for key, names in (("copies", copies), ("later", later)):
        for name in names:
            if name not in known:
                raise ConfigError(
                    f"{where}.{key}: there is no backend {name!r}; there are {', '.join(known)}"
                )
            if known[name].drain:
                raise ConfigError(
                    f"{where}.{key}: {name} is being drained (drain = true) and gets no new objects: name another"
                )
    names = (*copies, *later)
    twice = next((name for name in names if names.count(name) > 1), "")
    if twice:
        raise ConfigError(f"{where}: {twice} is named twice in copies and later: one copy is kept")


def _check_rule(storage: StorageConfig, name: str, rule: RuleConfig) -> None:
    where = f"storage.rules.{name}"
    if rule.min_bytes < 0 or rule.max_bytes < 0:
        raise ConfigError(f"{where}: min_bytes and max_bytes must be at least 0")
    if rule.max_bytes and rule.max_bytes < rule.min_bytes:
        raise ConfigError(f"{where} can never match: max_bytes is below min_bytes")
    for key in ("modality", "sop_class_uid", "calling_ae"):
        if "" in (value.strip() for value in getattr(rule, key)):
            raise ConfigError(f"{where}.{key} has an empty value, which nothing matches")
    for tag, value in rule.tags.items():
        if not value.strip():
            raise ConfigError(f"{where}.tags.{tag} is empty, which nothing matches")
    _check_places(storage, where, rule.copies or default_copies(storage), rule.later)


def _check_order(rules: Mapping[str, RuleConfig]) -> None:
    names = list(rules)
    for position, name in enumerate(names):
        for earlier in names[:position]:
            if _covers(rules[earlier], rules[name]):
                raise ConfigError(
                    f"storage.rules.{name} can never match: storage.rules.{earlier} stands before it "
                    "and takes all that it would"
                )


def _covers(earlier: RuleConfig, later: RuleConfig) -> bool:
    """Whether everything that `later` would match is matched by `earlier`."""
    return (
        all(
            _narrows(getattr(later, key), getattr(earlier, key))
            for key in ("modality", "sop_class_uid", "calling_ae")
        )
        and earlier.min_bytes <= later.min_bytes
        and (not earlier.max_bytes or 0 < later.max_bytes <= earlier.max_bytes)
        and all(
            tag in later.tags and _narrows((later.tags[tag],), (value,))
            for tag, value in earlier.tags.items()
        )
    )


def _narrows(values: tuple[str, ...], others: tuple[str, ...]) -> bool:
    if not others:
        return True
    return bool(values) and all(
        any(value == other or fnmatchcase(value, other.replace("[", "[[]")) for other in others)
        for value in values
    )

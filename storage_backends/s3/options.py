"""The options of the S3 driver: words from the configuration into checked values."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import NoReturn, TypeVar
from urllib.parse import urlsplit

from storage_backends.base import KEY_GRAMMAR
from storage_backends.errors import InvalidOptions

_MIB = 2**20
_MIN_PART = 5 * _MIB
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_SIZE = re.compile(r"([1-9][0-9]*) ?(KiB|MiB|GiB|)")
_UNITS = {"": 1, "KiB": 2**10, "MiB": _MIB, "GiB": 2**30}
_AWS = re.compile(r"(.+\.)?amazonaws\.com(\.cn)?")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class S3Options:
    """Where the objects lie and how they are sent there; `*_bytes` in bytes, `*_timeout` in seconds.

    `endpoint` is an URL. Credentials: `access_key` with `secret_key`, or each from a file that is read again when it
    changes (`*_file`), or `credentials_file` in the form that AWS' tools use, or none of these: then those of the
    environment or of the machine's role. `object_suffix` ends the name of every object: a server that keeps
    objects as files can't have both `a` and `a/b` without it.
    """

    endpoint: str
    bucket: str
    prefix: str = ""
    region: str = ""
    addressing: str = "auto"
    access_key: str = ""
    secret_key: str = ""
    session_token: str = ""
    access_key_file: str = ""
    secret_key_file: str = ""
    session_token_file: str = ""
    credentials_file: str = ""
    profile: str = "default"
    ca_file: str = ""
    sse: str = "none"
    sse_key_id: str = ""
    sse_key_file: str = ""
    storage_class: str = ""
    conditional_put: str = "auto"
    checksum: str = "auto"
    object_suffix: str = ""
    part_bytes: int = 16 * _MIB
    parallel_parts: int = 2
    connections: int = 32
    connect_timeout: float = 5.0
    read_timeout: float = 60.0

    def __post_init__(self) -> None:
        """Raises InvalidOptions."""
        host = urlsplit(self.endpoint)
        if host.scheme not in {"http", "https"} or not host.hostname or host.path not in {"", "/"}:
            _refuse("endpoint", self.endpoint, "an URL like https://s3.example.org:9000")
        if not _BUCKET.fullmatch(self.bucket):
            _refuse("bucket", self.bucket, "the name of a bucket that exists")
        if self.prefix and not KEY_GRAMMAR.fullmatch(self.prefix):
            _refuse(
                "prefix", self.prefix, "names in lower case with '/' between them, none at the ends"
            )
        if not re.fullmatch(r"[!~=a-z0-9_.-]{0,16}", self.object_suffix):
            _refuse("object_suffix", self.object_suffix, "at most 16 characters, for example '!'")
        _one_of("addressing", self.addressing, ("auto", "path", "virtual"))
        _one_of("conditional_put", self.conditional_put, ("auto", "yes", "no"))
        _one_of("checksum", self.checksum, ("auto", "md5", "crc32"))
        _one_of("sse", self.sse, ("none", "s3", "kms", "customer"))
        if self.part_bytes < _MIN_PART:
            _refuse("part_size", str(self.part_bytes), "at least 5 MiB, as S3 wants it")
        self._check_secrets()

    def _check_secrets(self) -> None:
        has_key = bool(self.access_key or self.access_key_file)
        if has_key != bool(self.secret_key or self.secret_key_file):
            raise InvalidOptions(
                "storage backend 's3': access_key and secret_key (or their files) belong together"
            )
        if self.sse == "kms" and not self.sse_key_id:
            raise InvalidOptions("storage backend 's3': sse = 'kms' needs sse_key_id")
        if (self.sse == "customer") != bool(self.sse_key_file):
            raise InvalidOptions(
                "storage backend 's3': sse = 'customer' and sse_key_file (32 bytes) belong together"
            )
        if self.sse == "customer" and not self.is_secure:
            raise InvalidOptions("storage backend 's3': sse = 'customer' sends its key: use https")

    @property
    def host(self) -> str:
        """Host, with the port when the endpoint names one."""
        return urlsplit(self.endpoint).netloc

    @property
    def is_secure(self) -> bool:
        """Whether TLS is spoken."""
        return urlsplit(self.endpoint).scheme == "https"

    @property
    def is_aws(self) -> bool:
        """Whether the store is Amazon's own."""
        return _AWS.fullmatch(urlsplit(self.endpoint).hostname or "") is not None


def read_options(options: Mapping[str, str], data_dir: Path) -> S3Options:
    """The options by their configured names; files are below `data_dir` where they are relative.

    Raises InvalidOptions for one that is unknown, missing or not understood.
    """
    known = {field.name for field in fields(S3Options)} - {"part_bytes"} | {"part_size"}
    values: dict[str, object] = {}
    for name, text in options.items():
        if name not in known:
            accepted = ", ".join(sorted(known))
            raise InvalidOptions(
                f"storage backend 's3' has no option {name!r}; it accepts: {accepted}"
            )
        values[_FIELDS.get(name, name)] = _value(name, text, data_dir)
    for name in ("endpoint", "bucket"):
        if not values.get(name):
            raise InvalidOptions(f"storage backend 's3' needs the option {name!r}")
    return S3Options(**values)  # type: ignore[arg-type]


_FIELDS = {"part_size": "part_bytes"}


def _value(name: str, text: str, data_dir: Path) -> object:
    if name.endswith("_file") and text:
        return str(data_dir / Path(text).expanduser())
    if name == "part_size":
        return _size(text)
    if name in {"parallel_parts", "connections"}:
        return _positive(name, text, int)
    if name in {"connect_timeout", "read_timeout"}:
        return _positive(name, text, float)
    return text


def _size(text: str) -> int:
    found = _SIZE.fullmatch(text)
    if found is None:
        _refuse("part_size", text, "bytes, or a size like '16 MiB'")
    return int(found[1]) * _UNITS[found[2]]


def _positive(name: str, text: str, kind: Callable[[str], _T]) -> _T:
    try:
        value = kind(text)
    except ValueError:
        _refuse(name, text, "a number")
    if not 0 < value < 10**6:  # type: ignore[operator]
        _refuse(name, text, "a number above 0")
    return value


def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        _refuse(name, value, " or ".join(known))


def _refuse(name: str, value: str, wanted: str) -> NoReturn:
    raise InvalidOptions(f"storage backend 's3': {name} = {value!r} is not {wanted}")

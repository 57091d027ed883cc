"""The options of each kind of source, as they are given with a campaign."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from vna.config_values import build
from vna.errors import ConfigError

_T = TypeVar("_T")
_AE_TITLE = re.compile(r"[!-\[\]-~](?:[ -\[\]-~]{0,14}[!-\[\]-~])?")
_DESTINATION = re.compile(r"(?P<title>[^@=]+)@(?P<host>[^@]*):(?P<port>[0-9]{1,5})")


@dataclass(frozen=True, slots=True)
class DicomOptions:
    """A DICOM archive: C-FIND, and C-MOVE or C-GET (`retrieve`).

    `move_destinations`: AE@HOST:PORT, several with commas: where this machine listens for what C-MOVE sends, and under
    which name the source knows that; each process takes the first that is free and its own. `model`: study, or patient
    for a source without the Study Root. `max_results`: the cap of the source where it is known. Times in seconds:
    `response_timeout` without any sign of life, `settle_time` for objects that come after the last response.
    """

    host: str
    port: int
    called_ae_title: str
    calling_ae_title: str = "VNA"
    retrieve: str = "move"
    move_destinations: str = ""
    model: str = "study"
    max_results: int = 0
    tls: bool = False
    ca: str = ""
    certificate: str = ""
    key: str = ""
    key_password_file: str = ""
    check_hostname: bool = True
    connect_timeout: float = 10.0
    response_timeout: float = 600.0
    settle_time: float = 5.0

    def __post_init__(self) -> None:
        """Raises ConfigError."""
        _one_of("retrieve", self.retrieve, ("move", "get"))
        _one_of("model", self.model, ("study", "patient"))
        _check_port(self.port)
        for name in ("called_ae_title", "calling_ae_title"):
            _check_ae_title(name, getattr(self, name))
        has_destinations = bool(self.destinations)
        if self.retrieve == "move" and not has_destinations:
            raise ConfigError(
                "source option move_destinations is missing: C-MOVE needs AE@HOST:PORT where this machine listens; "
                "or set retrieve=get"
            )

    @property
    def destinations(self) -> list[tuple[str, str, int]]:
        """(AE title, host, port) of each place where C-MOVE may send to. Raises ConfigError."""
        return [
            _destination(part.strip()) for part in self.move_destinations.split(",") if part.strip()
        ]


@dataclass(frozen=True, slots=True)
class WebOptions:
    """A DICOMweb archive by its root `url`: QIDO-RS and WADO-RS.

    Who we are: `user` with `password_file`, or `token_file` with a bearer token. `page`: results asked for at a time.
    """

    url: str
    user: str = ""
    password_file: str = ""
    token_file: str = ""
    ca: str = ""
    page: int = 500
    max_results: int = 0
    connect_timeout: float = 10.0
    response_timeout: float = 120.0

    def __post_init__(self) -> None:
        """Raises ConfigError."""
        if not re.match(r"https?://[^/]+", self.url):
            raise ConfigError(
                f"source option url = {self.url!r} is no URL like https://pacs/dicom-web"
            )
        if set("@?#") & set(self.url):
            raise ConfigError(
                "source option url has more than host and path: who we are is told by user with password_file, or by "
                "token_file"
            )
        if not 1 <= self.page <= 100_000:
            raise ConfigError("source option page must be from 1 to 100000")
        if bool(self.user) != bool(self.password_file):
            raise ConfigError("source options user and password_file belong together")


@dataclass(frozen=True, slots=True)
class FolderOptions:
    """Files below `path`, or those that a DICOMDIR at `path` lists.

    `adopt`: take the files over where they lie, by a further name for the same file instead of a copy; they must be on
    the storage's file system, and nobody may change them any more.
    """

    path: str
    adopt: bool = False


def read(cls: type[_T], options: Mapping[str, str]) -> _T:
    """The options of one kind. Raises ConfigError, which names the option."""
    try:
        return build(cls, options, "source.")
    except ConfigError as exc:
        text = (
            str(exc)
            .replace("configuration key", "source option")
            .replace("configuration [source] lacks the key", "the source lacks the option")
        )
        raise ConfigError(text) from exc


def _destination(text: str) -> tuple[str, str, int]:
    found = _DESTINATION.fullmatch(text)
    if found is None:
        raise ConfigError(
            f"source option move_destinations: {text!r} is not of the form AE@HOST:PORT"
        )
    _check_ae_title("move_destinations", found["title"])
    _check_port(int(found["port"]))
    return found["title"], found["host"].strip("[]"), int(found["port"])


def _check_ae_title(name: str, value: str) -> None:
    if not _AE_TITLE.fullmatch(value):
        raise ConfigError(f"source option {name}: {value!r} is no AE title (1 to 16 characters)")


def _check_port(port: int) -> None:
    if not 0 <= port < 2**16:
        raise ConfigError(f"source option: {port} is no port")


def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ConfigError(f"source option {name} = {value!r} is not {' or '.join(known)}")

"""Debian's Orthanc with its PostgreSQL index plug-in, equally durable as the archive."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from tests.e2e.process import free_port
from tests.peers.namespace import is_private
from tests.peers.peer import WITHOUT_DELAY, Modalities, Peer, PeerFailed, package_version, serving
from tests.peers.postgres import PeerDatabase, running_postgres

PROGRAM = Path("/usr/sbin/Orthanc")
PLUGINS = Path("/usr/share/orthanc/plugins")
INDEX_PLUGIN = PLUGINS / "libOrthancPostgreSQLIndex.so"
DICOMWEB_PLUGIN = PLUGINS / "libOrthancDicomWeb.so"
PACKAGED: Mapping[str, object] = {"MaximumPduLength": 16384, "DicomThreadsCount": 4}
"""What Debian's configuration says, and Orthanc assumes by itself."""
TUNED: Mapping[str, object] = {"MaximumPduLength": 131072, "DicomThreadsCount": 16}
"""The longest PDUs that it can have, and a thread for each association that is measured."""
PACKAGES = ("orthanc", "orthanc-postgresql", "orthanc-dicomweb")


@dataclass(frozen=True, slots=True)
class OrthancSettings:
    """What differs from one use to the next; `more` goes into its configuration as it is and wins.

    `dicomweb` loads the plug-in of that name; without `postgres` the index is Orthanc's own SQLite, ready at once.
    `tuned`: kinder than Debian packages it, see TUNED.
    """

    ae_title: str = "ORTHANC"
    modalities: Modalities = field(default_factory=dict)
    postgres: bool = True
    dicomweb: bool = False
    tuned: bool = False
    more: Mapping[str, object] = field(default_factory=dict)


def missing() -> str:
    """What must be installed to run Orthanc; empty when all is here."""
    needed = {
        "orthanc": PROGRAM,
        "orthanc-postgresql": INDEX_PLUGIN,
        "orthanc-dicomweb": DICOMWEB_PLUGIN,
    }
    return " ".join(package for package, path in needed.items() if not path.exists())


@contextmanager
def running_orthanc(folder: Path, settings: OrthancSettings | None = None) -> Iterator[Peer]:
    """Orthanc with data below `folder`, on free ports, stopped after the block.

    Raises PeerFailed outside of a private network, since it would listen on every address.
    """
    settings = settings or OrthancSettings()
    if not is_private():
        raise PeerFailed("Orthanc listens on every address: run it inside private_network()")
    folder.mkdir(parents=True, exist_ok=True)
    if settings.postgres:
        with running_postgres(folder) as database, _running(folder, settings, database) as peer:
            yield peer
    else:
        with _running(folder, settings, None) as peer:
            yield peer


@contextmanager
def _running(
    folder: Path, settings: OrthancSettings, database: PeerDatabase | None
) -> Iterator[Peer]:
    dicom_port, http_port = free_port(), free_port()
    document = configuration(folder, settings, (dicom_port, http_port), database)
    path = folder / "orthanc.json"
    path.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2))
    log = folder / "orthanc.log"
    with serving([PROGRAM, path], dicom_port, log, WITHOUT_DELAY) as process:
        pids = [process.pid, *([database.pid] if database else [])]
        yield Peer(
            name="Orthanc",
            version=version(),
            ae_title=settings.ae_title,
            dicom_port=dicom_port,
            http_port=http_port,
            roots=lambda: pids,
            log=log,
            settings=_told(document, database),
        )


def version() -> str:
    """The versions of the packages."""
    return ", ".join(f"{name} {package_version(name)}" for name in PACKAGES[:2])


def configuration(
    folder: Path,
    settings: OrthancSettings,
    ports: tuple[int, int],
    database: PeerDatabase | None,
) -> dict[str, object]:
    """Its configuration file: as packaged, but for where things are, who may do what, and durability."""
    plugins = [INDEX_PLUGIN] if database else []
    plugins += [DICOMWEB_PLUGIN] if settings.dicomweb else []
    document: dict[str, object] = {
        "Name": "peer",
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "index"),
        "SyncStorageArea": True,
        "Plugins": [str(path) for path in plugins],
        "DicomAet": settings.ae_title,
        "DicomPort": ports[0],
        "HttpPort": ports[1],
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomAlwaysAllowFind": True,
        "DicomAlwaysAllowGet": True,
        "DicomAlwaysAllowMove": True,
        **(TUNED if settings.tuned else PACKAGED),
        "DicomModalities": {
            name: [name, host, port] for name, (host, port) in settings.modalities.items()
        },
    }
    if database:
        document["PostgreSQL"] = _index_options(database)
    return {**document, **settings.more}


def _index_options(database: PeerDatabase) -> dict[str, object]:
    return {
        "EnableIndex": True,
        "EnableStorage": False,
        "Host": database.host,
        "Port": 5432,
        "Database": database.name,
        "Username": database.user,
        "Password": "",
        "Lock": True,
    }


def _told(document: Mapping[str, object], database: PeerDatabase | None) -> tuple[str, ...]:
    names = ("SyncStorageArea", *PACKAGED)
    settings = ", ".join(f'"{name}": {orjson.dumps(document[name]).decode()}' for name in names)
    index = f"index in {database.settings}" if database else "index in SQLite"
    return settings, "TCP_NODELAY=1", index, "storage on disk"

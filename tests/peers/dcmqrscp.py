"""DCMTK's dcmqrscp as it is: files in one folder, an index file beside them, a process for each association."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.process import free_port
from tests.peers.peer import WITHOUT_DELAY, Modalities, Peer, package_version, serving

PACKAGED_PDU, TUNED_PDU = 16384, 131072
"""The longest PDU as in Debian's configuration, and the longest that it can have (bytes)."""
PROGRAM = Path("/usr/bin/dcmqrscp")
MOST_STUDIES = 500
"""The most that its index can be told to hold; older studies are deleted for newer ones."""
FILLED_STUDIES = 300
"""What is searched: so many leave room for the studies of other measurements."""


def missing() -> str:
    """What must be installed to run it; empty when it is here."""
    return "" if PROGRAM.exists() else "dcmtk"


@contextmanager
def running_dcmqrscp(
    folder: Path,
    modalities: Modalities | None = None,
    ae_title: str = "QRSCP",
    *,
    tuned: bool = False,
) -> Iterator[Peer]:
    """dcmqrscp with its files below `folder`, on a free port, stopped after the block. Raises PeerFailed.

    `tuned`: with longer PDUs than as packaged.
    """
    storage = folder / "storage"
    storage.mkdir(parents=True, exist_ok=True)
    port = free_port()
    path = folder / "dcmqrscp.cfg"
    max_pdu = TUNED_PDU if tuned else PACKAGED_PDU
    text = configuration(storage, port, modalities or {}, ae_title, max_pdu)
    path.write_text(text, encoding="ascii")
    log = folder / "dcmqrscp.log"
    command = [PROGRAM, "--config", path, "--log-level", "error"]
    with serving(command, port, log, WITHOUT_DELAY) as process:
        yield Peer(
            name="dcmqrscp",
            version=f"dcmtk {package_version('dcmtk')}",
            ae_title=ae_title,
            dicom_port=port,
            roots=lambda: [process.pid],
            log=log,
            most_studies=FILLED_STUDIES,
            refused=0.75,
            settings=(
                f"MaxPDUSize = {max_pdu}",
                "TCP_NODELAY=1",
                "what it stores at the same moment overwrites each other (0xC000): rates count the rest",
                f"holds {MOST_STUDIES} studies at most: its searches go through {FILLED_STUDIES}",
                "syncs neither its files nor its index: what it acknowledged a crash may lose",
            ),
        )


def configuration(
    storage: Path, port: int, modalities: Modalities, ae_title: str, max_pdu: int
) -> str:
    """Its configuration file (dcmqrcnf.txt of DCMTK)."""
    hosts = "".join(
        f"h{number} = ({name}, {host}, {at})\n"
        for number, (name, (host, at)) in enumerate(modalities.items())
    )
    return (
        f"NetworkTCPPort = {port}\n"
        f"MaxPDUSize = {max_pdu}\n"
        "MaxAssociations = 64\n"
        f"HostTable BEGIN\n{hosts}HostTable END\n"
        "VendorTable BEGIN\nVendorTable END\n"
        f"AETable BEGIN\n{ae_title} {storage} RW ({MOST_STUDIES}, 1024gb) ANY\nAETable END\n"
    )

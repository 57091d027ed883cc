"""Where C-MOVE sends to: one place of this machine for a process, whatever campaigns it works on."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.migration.conftest import WHO, Site
from tests.migration.pacs import LOOPBACK, Pacs, keep, study_of
from tests.migration.taking import Taker, never
from vna.migration.move_listener import MoveListener
from vna.migration.move_listeners import MoveListeners
from vna.migration.source_options import DicomOptions, read
from vna.migration.sources.base import SourceUnavailable
from vna.migration.sources.dicom import DicomSource
from vna.migration.sources.registry import open_source
from vna.migration.stocktaking import Stocktaking
from vna.migration.workers import MigrationWorkers
from vna.model.campaign import CampaignState, NewCampaign
from vna.model.migration import Scope, SourceSettings
from vna.spool import Spool


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    spool = Spool(tmp_path / "came", 65_536)
    yield spool
    spool.close()


def free_port() -> int:
    with socket.create_server((LOOPBACK, 0)) as found:
        return int(found.getsockname()[1])


def options_of(pacs: Pacs, port: int) -> dict[str, str]:
    """How a campaign names this archive, which knows where to send to."""
    pacs.destinations["LANDING"] = (LOOPBACK, port)
    return {
        "host": LOOPBACK,
        "port": str(pacs.address[1]),
        "called_ae_title": "PACS",
        "calling_ae_title": "MIGRATOR",
        "move_destinations": f"LANDING@{LOOPBACK}:{port}",
        "settle_time": "0.3",
    }


def test_each_process_listens_where_it_is_free(spool: Spool) -> None:
    with socket.create_server((LOOPBACK, 0)) as taken:
        busy = ("FIRST", LOOPBACK, taken.getsockname()[1])
        listener = MoveListener([busy, ("SECOND", LOOPBACK, 0)], spool)
        assert listener.ae_title == "SECOND"
        listener.close()
        with pytest.raises(SourceUnavailable, match=r"FIRST@127\.0\.0\.1.*add one, or run fewer"):
            MoveListener([busy], spool)
        MoveListeners(spool).check([busy])
    elsewhere = ("THIRD", "192.0.2.1", 104)
    with pytest.raises(SourceUnavailable, match=r"THIRD@192\.0\.2\.1"):
        MoveListeners(spool).check([elsewhere])


def test_campaigns_of_a_process_share_a_destination(spool: Spool) -> None:
    listeners, port, takers = MoveListeners(spool), free_port(), [Taker(), Taker()]
    with ExitStack() as stack:
        archives = [stack.enter_context(Pacs(keep(study_of(images=4))).listening()) for _ in "ab"]
        sources = [
            DicomSource(_parsed(options_of(pacs, port)), spool, listeners) for pacs in archives
        ]

        def fetch(number: int) -> None:
            (study,) = sources[number].studies(Scope())
            found = list(sources[number].instances(study))
            sources[number].fetch(study, found, takers[number], never, found)

        threads = [threading.Thread(target=fetch, args=(number,)) for number in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        for pacs, taker in zip(archives, takers, strict=True):
            assert taker.uids == {kept.uids.sop_instance_uid for kept in pacs.kept}
        assert sources[0].listener() is sources[1].listener()
        sources[0].close()
        assert sources[1].listener().address == (LOOPBACK, port)
        sources[1].close()
    with socket.create_server((LOOPBACK, port)):
        pass


def test_a_process_without_a_destination_of_its_own_stands_by(
    site: Site, spool: Spool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("vna.migration.workers._TRY_AGAIN", 0.05)
    monkeypatch.setattr("vna.migration.workers._LOOK_EVERY", 0.05)
    port = free_port()
    first = MoveListeners(spool)
    held = first.take([("LANDING", LOOPBACK, port)])
    with Pacs(keep(study_of(images=2))).listening() as pacs, caplog.at_level(logging.WARNING):
        settings = SourceSettings("dicom", options_of(pacs, port))
        campaign = site.campaigns.add(NewCampaign("silo", settings), WHO)
        source = open_source(settings, spool)
        source.check()
        Stocktaking(source, site.inventory, campaign).take()
        site.campaigns.set_state(campaign, CampaignState.RUNNING, WHO)
        second = MoveListeners(spool)
        tried = threading.Semaphore(0)

        def open_(settings: SourceSettings) -> DicomSource:
            tried.release()
            return DicomSource(_parsed(settings.options), spool, second)

        workers = MigrationWorkers(site.campaigns, lambda: site.tools, open_)
        thread = threading.Thread(target=workers.run, args=(site.stopping,))
        thread.start()
        for _ in range(3):
            assert tried.acquire(timeout=30)
        assert site.rows("SELECT count(*) FROM migration_worker") == [(0,)]
        first.give_back(held)
        _wait(lambda: site.campaigns.find("silo").state is CampaignState.DONE)
        site.stopping.set()
        thread.join(30)
    assert set(site.states().values()) == {"verified"}
    (told,) = {record.getMessage() for record in caplog.records}
    assert "campaign silo can't be worked on here now" in told
    assert "add one, or run fewer" in told


def _wait(is_so: Callable[[], bool]) -> None:
    while not is_so():
        threading.Event().wait(0.02)


def _parsed(options: Mapping[str, str]) -> DicomOptions:
    return read(DicomOptions, options)

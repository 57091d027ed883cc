"""A campaign that takes from a whole archive over C-GET, while that is killed and comes back."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests import samples
from tests.e2e.process import ArchiveProcess
from tests.migration.conftest import WHO, make_site
from vna.index.database import Database
from vna.migration.campaign_worker import CampaignWorker
from vna.migration.source_options import DicomOptions
from vna.migration.sources.dicom import DicomSource
from vna.migration.stocktaking import Stocktaking
from vna.model.campaign import CampaignSettings, CampaignState, Ceilings, NewCampaign
from vna.model.migration import SourceSettings
from vna.spool import Spool

STUDIES, EACH, KILLS = 12, 5, 3


def fill(data_dir: Path, folder: Path) -> None:
    """An archive has studies of different days and patients."""
    folder.mkdir()
    for n in range(1, STUDIES + 1):
        for m in range(EACH):
            others = {"StudyDate": f"202001{n:02}", "patient_id": f"P{n}"}
            data = samples.ct_at(f"1.2.{n}", f"1.2.{n}.1", f"1.2.{n}.1.{m}", **others)
            (folder / f"{n}-{m}.dcm").write_bytes(data)
    words = [*(sys.executable, "-m", "vna.cli", "import"), "--data-dir", str(data_dir), str(folder)]
    subprocess.run(words, check=True, capture_output=True)


@pytest.mark.crash
def test_a_source_that_dies_and_comes_back(database: Database, tmp_path: Path) -> None:
    archive = ArchiveProcess(tmp_path / "silo")
    fill(tmp_path / "silo", tmp_path / "files")
    archive.start()
    site = make_site(database, tmp_path)
    options = DicomOptions("127.0.0.1", archive.dicom_port, "VNA", "MIGRATOR", retrieve="get")
    source = DicomSource(options, Spool(tmp_path / "came", 2**20))
    settings = CampaignSettings(Ceilings(2, instances_per_second=15.0), attempts=5)
    campaign = site.campaigns.add(
        NewCampaign("silo", SourceSettings("dicom"), settings=settings), WHO
    )
    assert Stocktaking(source, site.inventory, campaign).take().is_complete
    site.campaigns.set_state(campaign, CampaignState.RUNNING, WHO)
    campaign = site.campaigns.find("silo")
    worker = CampaignWorker(campaign, source, site.tools, site.campaigns, "here")
    thread = threading.Thread(target=worker.run, args=(site.stopping.is_set,))
    thread.start()
    for number in range(1, KILLS + 1):
        while list(site.states().values()).count("verified") < number * STUDIES:
            threading.Event().wait(0.05)
        archive.kill_group()
        archive.start()
    thread.join(180)
    assert not thread.is_alive()
    source.close()
    assert site.campaigns.find("silo").state is CampaignState.DONE
    assert set(site.states().values()) == {"verified"}
    assert len(site.states()) == STUDIES * EACH
    site.assert_counts_agree()
    assert archive.stop() == 0

"""Sources that lie, break off, and send something else, at random: nothing is called verified that is not."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from tests import samples
from tests.migration.conftest import AT_ONCE, WHO, Site, kept_bytes, study
from vna.dicom.header import read_header
from vna.errors import VnaError
from vna.migration.sources.base import SourceBusy, SourceError, SourceUnavailable
from vna.model.campaign import CampaignState, Reason

OPEN = ("discovered", "queued", "transferring", "landed", "failed")


class Liar:
    """Decides at each object, and at each fetch, what goes wrong."""

    def __init__(self, site: Site, chance: random.Random) -> None:
        self._site, self._chance = site, chance
        self.sent: dict[str, list[bytes]] = {}
        self.lost = set(chance.sample(sorted(site.source.objects), 3))
        self.broken = {"1.2.1"}

    def send(self, data: bytes) -> bytes | None:
        uid = read_header(data).uids.sop_instance_uid
        fault = self._chance.random()
        if uid in self.lost or fault < 0.1:
            return None
        if fault < 0.15:
            data = samples.small(StudyInstanceUID="1.2.99")
        elif fault < 0.2:
            data = b"no DICOM at all"
        elif fault < 0.25:
            data = data.replace(b"Doe^Jane", b"Doe^John")
        try:
            self.sent.setdefault(read_header(data).uids.sop_instance_uid, []).append(data)
        except VnaError:
            return data
        return data

    def before_fetch(self, study_uid: str) -> None:
        if study_uid in self.broken:
            raise SourceError("this study can't be read")
        fault = self._chance.random()
        if fault < 0.1:
            raise SourceBusy("out of resources")
        if fault < 0.2:
            raise SourceUnavailable("connection reset")

    def before_object(self) -> None:
        if self._chance.random() < 0.05:
            raise SourceUnavailable("connection reset in the middle")


@pytest.mark.parametrize("seed", range(6))
def test_everything_is_explained(site: Site, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vna.migration.campaign_worker._REST", 0.0)
    chance = random.Random(seed)
    for number in range(8):
        study(chance.randint(1, 6), f"1.2.{number}", site.source.add)
    liar = Liar(site, chance)
    source = site.source
    source.sends, source.before_object = liar.send, liar.before_object
    source.before_fetch = liar.before_fetch
    done = site.work(site.begin(replace(AT_ONCE, attempts=4)))
    assert done.state is CampaignState.DONE
    site.assert_counts_agree()
    states = site.states()
    assert {uid for uid, state in states.items() if state == "verified"}.isdisjoint(liar.lost)
    assert set(source.objects) <= set(states)
    assert not [state for state in states.values() if state.startswith(OPEN)]
    assert all(" " in state for state in states.values() if state != "verified")
    assert {state.partition(" ")[2] for state in states.values()} <= {r.value for r in Reason}
    assert site.study_states()["1.2.1"] == "parked source-error"
    verified = [uid for uid, state in states.items() if state == "verified"]
    for uid, kept in kept_bytes(site, verified).items():
        assert kept in liar.sent[uid]
    everything = {uid for uid in liar.sent if uid in states}
    assert set(kept_bytes(site, list(everything))) == everything


def test_a_source_that_mends_its_ways_is_complete_in_the_end(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vna.migration.campaign_worker._REST", 0.0)
    for number in range(6):
        study(4, f"1.2.{number}", site.source.add)
    liar = Liar(site, random.Random(7))
    site.source.sends, site.source.before_object = liar.send, liar.before_object
    site.source.before_fetch = liar.before_fetch
    site.work(site.begin(replace(AT_ONCE, attempts=2)))
    site.source.sends, site.source.before_object = lambda data: data, lambda: None
    site.source.before_fetch = lambda _: None
    site.campaigns.retry(site.campaigns.find("silo"), WHO)
    assert site.work(site.campaigns.find("silo")).state is CampaignState.DONE
    states = site.states()
    assert {states[uid] for uid in site.source.objects} <= {"verified", "mismatched uid-collision"}
    site.assert_counts_agree()

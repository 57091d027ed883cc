"""Samples for a preview: few, spread, and nothing but what was asked for."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.migration.conftest import WHO, Site, study
from tests.migration.paper_source import take_stock
from vna.dicom.header import read_header
from vna.migration.rules.samples import Missed, Sampling, Wanted
from vna.migration.sources.base import SourceError, SourceUnavailable
from vna.model.campaign import Campaign, NewCampaign
from vna.model.migration import SourceSettings

Sample = Callable[..., tuple[list[str], list[Missed]]]


@pytest.fixture(params=["known", "unknown"])
def campaign(site: Site, request: pytest.FixtureRequest) -> Campaign:
    """Four studies of two instances, with an inventory and without."""
    for number in range(4):
        study(2, f"1.2.{number}", site.source.add)
    campaign = site.campaigns.add(NewCampaign("silo", SourceSettings("paper")), WHO)
    if request.param == "known":
        take_stock(site.source, site.inventory, campaign)
    return site.campaigns.find("silo")


@pytest.fixture
def sample(site: Site, campaign: Campaign) -> Sample:
    """Takes samples; the studies that they are of, each as often as it came."""

    def take(wanted: Wanted, stops_after: int = 99) -> tuple[list[str], list[Missed]]:
        seen: list[str] = []
        sampling = Sampling(site.source, site.ledger, campaign)
        missed = sampling.run(
            wanted,
            lambda buffer: seen.append(read_header(buffer).uids.study_instance_uid),
            lambda: len(seen) >= stops_after,
        )
        return seen, missed

    return take


def test_each_sample_is_of_another_study(sample: Sample) -> None:
    seen, missed = sample(Wanted(3))
    assert (len(set(seen)), len(seen), missed) == (3, 3, [])
    assert sample(Wanted(3)) == (seen, missed)
    assert sorted(sample(Wanted(9))[0]) == ["1.2.0", "1.2.1", "1.2.2", "1.2.3"]
    assert len(sample(Wanted(9), stops_after=2)[0]) == 2


def test_of_one_study_each_series_is_looked_at(sample: Sample, site: Site) -> None:
    assert sample(Wanted(9, "1.2.1")) == (["1.2.1"], [])
    assert sample(Wanted(9, "1.2.9")) == ([], [])
    assert all(len(asked) == 1 for asked in site.source.asked)


def test_what_a_source_sends_beside_a_sample_is_not_looked_at(sample: Sample, site: Site) -> None:
    first: dict[str, bytes] = {}
    for data in site.source.objects.values():
        first.setdefault(read_header(data).uids.study_instance_uid, data)
    site.source.sends = lambda data: first["1.2.0"]
    seen, missed = sample(Wanted(4))
    assert seen == ["1.2.0"]
    assert {item.study_instance_uid for item in missed} == {"1.2.1", "1.2.2", "1.2.3"}


def test_a_study_that_can_t_be_had_is_told_and_the_next_one_taken(
    sample: Sample, site: Site
) -> None:
    def refuse(uid: str) -> None:
        if uid in {"1.2.0", "1.2.1"}:
            raise SourceError("no such study")

    site.source.before_fetch = refuse
    seen, missed = sample(Wanted(2))
    assert sorted(seen) == ["1.2.2", "1.2.3"]
    assert all(item.reason == "no such study" for item in missed)


def test_a_source_that_breaks_off_ends_the_preview(sample: Sample, site: Site) -> None:
    def break_off(_: str) -> None:
        raise SourceUnavailable("reset")

    site.source.before_fetch = break_off
    with pytest.raises(SourceUnavailable):
        sample(Wanted(2))

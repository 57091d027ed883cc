"""What is called verified: only what was read again and is what came, under the UIDs and with the header expected."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests import samples
from tests.migration.conftest import AT_ONCE, WHO, Site, kept_bytes
from vna.dicom.header import read_header
from vna.dicom.part10 import file_meta
from vna.dicom.pixels import transcode
from vna.migration.study_work import RELEASED, Progress, StudyWork
from vna.migration.throttle import Throttle
from vna.model.campaign import CampaignSettings
from vna.model.identifiers import Selection

DECODING = replace(AT_ONCE, decode=True)


def add(site: Site, data: bytes) -> str:
    return site.source.add(data)


def evidence(site: Site) -> dict[str, str]:
    rows = site.rows("SELECT sop_instance_uid, evidence FROM migration_instance")
    return {uid: text for uid, text in rows if text}


def image(uid: str = "", pixels: bytes = bytes(16), **others: Any) -> bytes:
    """A grey image of four pixels by four, of patient PID-1."""
    elements = {
        **samples.identity(SOPInstanceUID=uid or samples.new_uid()),
        **samples.image(),
        "PixelData": samples.Typed("OB", pixels),
        **others,
    }
    return samples.part10(elements)


def test_every_byte_is_compared(site: Site) -> None:
    uid = add(site, image())
    site.work(site.begin(DECODING))
    assert evidence(site) == {
        uid: "every byte as it came; header as the source tells; every frame decoded"
    }


def test_a_duplicate_with_other_file_meta_is_the_same_dataset(site: Site) -> None:
    data = image("1.2.3")
    site.bench.keep(b"\1" * 128 + data[128:])
    uid = add(site, data)
    site.work(site.begin())
    assert site.states() == {uid: "verified"}
    assert evidence(site) == {
        uid: "every byte of the dataset as it came; header as the source tells; was there already"
    }


def test_an_object_damaged_in_the_storage_is_fetched_again(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    uid = add(site, image())
    prove, spoilt = site.tools.prover.prove, list[Path]()

    def spoil(*args: Any) -> Any:
        if not spoilt:
            spoilt.extend(_objects(site))
            for path in spoilt:
                path.chmod(0o600)
                path.write_bytes(path.read_bytes()[:-1] + b"\xff")
        return prove(*args)

    monkeypatch.setattr(site.tools.prover, "prove", spoil)
    site.work(site.begin())
    assert len(spoilt) == 1
    assert site.states() == {uid: "verified"}
    assert len(site.source.asked) == 2
    assert kept_bytes(site, [uid]) == site.source.objects


def test_an_object_that_is_deleted_before_it_is_verified_is_an_exception(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    uid = add(site, image())
    prove = site.tools.prover.prove

    def delete(*args: Any) -> Any:
        (found,) = site.bench.retrieve.select(Selection(sop_instance_uids=(uid,)))
        site.bench.trash.delete(found.uids, WHO)
        return prove(*args)

    monkeypatch.setattr(site.tools.prover, "prove", delete)
    site.work(site.begin())
    assert site.states() == {uid: "mismatched not-in-archive"}


def test_the_same_uid_with_other_pixels_is_kept_and_listed(site: Site) -> None:
    site.bench.keep(image("1.2.3", bytes(16)))
    uid = add(site, image("1.2.3", b"\7" * 16))
    site.work(site.begin())
    assert site.states() == {uid: "mismatched uid-collision"}
    assert site.rows("SELECT conflict IS NOT NULL FROM migration_instance") == [(True,)]


def test_the_same_pixels_under_another_header_are_a_variant(site: Site) -> None:
    study: dict[str, Any] = {"StudyInstanceUID": "1.2", "SeriesInstanceUID": "1.3"}
    site.bench.keep(image("1.2.3", **study))
    uid = add(site, image("1.2.3", **study, ImageComments="edited"))
    site.work(site.begin())
    assert site.states() == {uid: "verified"}
    assert "a variant" in evidence(site)[uid]


def test_a_lossless_recoding_is_a_variant(site: Site) -> None:
    study: dict[str, Any] = {"StudyInstanceUID": "1.2", "SeriesInstanceUID": "1.3"}
    data = image("1.2.3", bytes(range(16)), **study)
    site.bench.keep(data)
    header = read_header(data)
    body = transcode(
        memoryview(data),
        dataset_offset=header.layout.dataset_offset,
        transfer_syntax_uid=samples.EXPLICIT,
        target=samples.RLE,
        max_bytes=2**20,
    )
    uid = add(site, file_meta(header.sop_class_uid, "1.2.3", samples.RLE) + body)
    site.work(site.begin())
    assert site.states() == {uid: "verified"}
    assert "a variant" in evidence(site)[uid]


def test_pixel_data_that_is_cut_off_can_t_be_decoded(site: Site) -> None:
    whole, cut = add(site, image()), add(site, image(pixels=bytes(12)))
    broken = add(
        site,
        samples.encapsulated([[b"\xff\xd8no jpeg\0"]], transfer_syntax_uid=samples.JPEG_BASELINE),
    )
    site.work(site.begin(DECODING))
    assert site.states() == {
        whole: "verified",
        cut: "mismatched not-decodable",
        broken: "mismatched not-decodable",
    }


def test_a_header_that_contradicts_the_source_is_an_exception_unless_a_rule_allows_it(
    site: Site,
) -> None:
    other = add(site, image(PatientID="PID-2", StudyInstanceUID="1.2"))
    site.work(site.begin())
    assert site.states() == {other: "mismatched header-differs"}
    assert site.rows("SELECT detail FROM migration_instance") == [("PatientID",)]
    allowed = replace(AT_ONCE, differences=("PatientID",))
    site.campaigns.change(site.campaigns.find("silo"), allowed, WHO)
    assert site.campaigns.retry(site.campaigns.find("silo"), WHO) == 1
    site.work(site.campaigns.find("silo"))
    assert site.states() == {other: "verified"}


def test_an_object_that_belongs_to_another_series_than_the_source_says(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    uid = add(site, image())
    listed = site.source.instances

    def elsewhere(study: Any) -> Any:
        for found in listed(study):
            yield replace(found, uids=replace(found.uids, series_instance_uid="1.9.9"))

    monkeypatch.setattr(site.source, "instances", elsewhere)
    site.work(site.begin())
    assert site.states() == {uid: "mismatched uids-differ"}


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ({"sop_class_uid": "1.2.840.10008.5.1.4.1.1.2"}, "class-differs"),
        ({"number_of_frames": 3}, "frames-differ"),
        ({"size": 12}, "size-differs"),
    ],
)
def test_what_the_source_tells_of_an_instance_has_to_be_true(
    site: Site, monkeypatch: pytest.MonkeyPatch, told: dict[str, Any], reason: str
) -> None:
    uid = add(site, image())
    listed = site.source.instances
    monkeypatch.setattr(
        site.source, "instances", lambda study: (replace(f, **told) for f in listed(study))
    )
    site.work(site.begin())
    assert site.states() == {uid: f"mismatched {reason}"}


def test_what_came_in_a_lossy_syntax_and_is_not_kept_so(site: Site) -> None:
    data = samples.encapsulated([[b"\xff\xd8\xff\xd9"]], transfer_syntax_uid=samples.JPEG_BASELINE)
    uid = add(site, data)
    listed = site.source.instances
    site.source.instances = lambda study: (  # type: ignore[method-assign]
        replace(f, transfer_syntax_uid=samples.JPEG_LOSSLESS) for f in listed(study)
    )
    site.work(site.begin(CampaignSettings(attempts=1)))
    assert site.states() == {uid: "mismatched compressed-lossily"}


def _objects(site: Site) -> list[Path]:
    return [path for path in site.bench.store_directory.rglob("*.dcm") if path.is_file()]


def test_a_verification_ends_in_the_middle_of_an_object_when_it_has_to(site: Site) -> None:
    many = samples.multiframe(50)
    uid = add(site, many)
    asked = 0

    def should_stop() -> bool:
        nonlocal asked
        asked += 1
        return asked > 10

    campaign = site.begin(DECODING)
    worker = site.ledger.enlist(campaign, "here")
    assert worker is not None
    study = site.ledger.claim(campaign, worker)
    assert study is not None
    work = StudyWork(site.tools, site.source, campaign, Throttle())
    done = work.do(study, worker, campaign.settings, Progress(), should_stop)
    assert done.end is RELEASED
    assert done.verdicts == []
    assert site.states() == {uid: "landed"}

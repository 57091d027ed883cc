"""Studies of a bucket of a real S3 server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from storage_backends.s3.client import Client
from tests import samples
from tests.migration.pacs import study_of
from tests.migration.taking import Taker, never
from tests.s3_server import ACCESS_KEY, BUCKET, SECRET_KEY, S3Server, running_s3
from vna.errors import ConfigError, InvalidInstance
from vna.migration.sources.base import SourceError, Unreadable
from vna.migration.sources.bucket import HEADER_BYTES, BucketSource
from vna.model.migration import FoundInstance, FoundStudy, Scope
from vna.spool import Spool


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """One with an empty bucket."""
    with running_s3(tmp_path_factory.mktemp("s3")) as running:
        yield running


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    """Where objects wait."""
    spool = Spool(tmp_path / "spool", 65_536)
    yield spool
    spool.close()


def opened(server: S3Server, spool: Spool, prefix: str, **options: str) -> BucketSource:
    values = {
        "endpoint": server.endpoint,
        "bucket": BUCKET,
        "access_key": ACCESS_KEY,
        "secret_key": SECRET_KEY,
        "prefix": prefix,
    }
    return BucketSource({**values, **options}, spool)


def fill(server: S3Server, prefix: str, objects: list[bytes]) -> None:
    """Objects 0, 1, 2 … below a prefix."""
    client = Client(server.options())
    for number, data in enumerate(objects):
        client.put(f"{prefix}/Ä {number}.dcm", data, only_new=False)
    client.close()


def listed(source: BucketSource) -> list[tuple[FoundStudy, FoundInstance]]:
    return [found for found in source.walk(Scope()) if not isinstance(found, Unreadable)]


def test_objects_are_told_and_fetched_as_they_are(server: S3Server, spool: Spool) -> None:
    objects = study_of(series=2, images=2)
    fill(server, "one/Deep", [*objects, b"no DICOM"])
    fill(server, "other", study_of(images=1))
    source = opened(server, spool, "one/")
    source.check()
    found = listed(source)
    assert len(found) == 4
    (study,) = source.studies(Scope())
    assert {instance for _, instance in found} == set(source.instances(study))
    taker = Taker()
    report = source.fetch(study, [instance for _, instance in found], taker, never)
    assert {taken.data for taken in taker.taken} == set(objects)
    assert {taken.found for taken in taker.taken} == {instance for _, instance in found}
    assert report.taken == 4
    source.close()


def test_a_long_header_is_read_as_far_as_it_goes(server: S3Server, spool: Spool) -> None:
    long = samples.small(
        ImageComments="x" * 1000, EncapsulatedDocument=bytes(3 * HEADER_BYTES), PatientID="LONG"
    )
    large = samples.ct_at("1.2", "1.2.3", "1.2.3.4", rows=512, columns=512)
    fill(server, "long", [long, large])
    source = opened(server, spool, "long/")
    assert {(study.patient_id, instance.size) for study, instance in listed(source)} == {
        ("LONG", len(long)),
        ("PID-0001", len(large)),
    }
    source.close()


def test_what_went_or_is_refused_is_a_failure(server: S3Server, spool: Spool) -> None:
    fill(server, "some", study_of(images=3))
    source = opened(server, spool, "some/")
    found = listed(source)
    instances = [instance for _, instance in found]
    client = Client(server.options())
    client.remove_object(BUCKET, instances[0].place)
    client.close()
    taker = Taker(lambda one: InvalidInstance("odd") if one == instances[1] else None)
    report = source.fetch(found[0][0], instances, taker, never)
    assert (report.taken, len(report.failures)) == (1, 2)
    assert source.fetch(found[0][0], instances, taker, lambda: True).was_stopped
    source.close()


def test_wrong_credentials_and_options_are_told(server: S3Server, spool: Spool) -> None:
    with pytest.raises(SourceError, match="secret_key"):
        opened(server, spool, "", secret_key="wrong").check()
    with pytest.raises(ConfigError, match="bucket"):
        opened(server, spool, "", bucket="")
    with pytest.raises(ConfigError, match="no option"):
        opened(server, spool, "", colour="red")

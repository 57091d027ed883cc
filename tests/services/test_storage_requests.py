"""What storing and delivering an object costs in requests to an object store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import cast

import pytest

from storage_backends.encryption import EncryptedBackend, Keyring
from storage_backends.metered import MeteredBackend
from storage_backends.retrying import RetryingBackend
from storage_backends.testing import sample
from tests import samples
from tests.backends.s3_proxy import driver_through, running_proxy
from tests.s3_server import S3Server
from tests.services.conftest import make_bench
from vna.index.database import Database
from vna.model.identifiers import Selection
from vna.model.keys import new_object_key
from vna.services.storage import ObjectStore
from vna.spool import Spool

_KEYS = "one:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="


@pytest.mark.parametrize("is_encrypted", [False, True])
def test_a_small_object_is_one_request_where_names_can_not_be_guarded(
    s3_server: S3Server, tmp_path: Path, is_encrypted: bool
) -> None:
    data = sample(500_000)
    with running_proxy(s3_server) as proxy:
        driver = driver_through(proxy, conditional_put="no")
        inner = (
            EncryptedBackend(driver, Keyring(lambda: _KEYS, "a test")) if is_encrypted else driver
        )
        backend = RetryingBackend(MeteredBackend(inner, lambda *_: None))
        objects = ObjectStore({backend.name: backend}, backend.name)
        spool = Spool(tmp_path, 2**20)
        with spool.open() as writer:
            writer.write(data)
            with writer.finish() as spooled:
                place = objects.place(new_object_key(), spooled.size)
                objects.keep(spooled, place)
        assert [method for method, _, _ in proxy.seen] == ["PUT"]
        with objects.open(place) as reader:
            assert reader.read() == data
        objects.close()
        spool.close()


@pytest.mark.parametrize("rows", [16, 1500], ids=["small", "large"])
def test_a_file_is_delivered_by_one_request(
    s3_server: S3Server, database: Database, tmp_path: Path, rows: int
) -> None:
    data = samples.ct(rows=rows, columns=1500)
    with running_proxy(s3_server) as proxy:
        driver = driver_through(proxy, conditional_put="no")
        bench = make_bench(database, driver, tmp_path / "spool")
        uid = bench.keep(data).uids.sop_instance_uid
        (instance,) = bench.retrieve.select(Selection(sop_instance_uids=(uid,)))
        assert bench.retrieve.is_small(instance) == (rows == 16)
        proxy.seen.clear()
        pieces, length = bench.retrieve.part10_pieces(instance)
        with closing(pieces):
            assert b"".join(cast("Iterator[bytes]", pieces)) == data
        assert length == len(data)
        assert [method for method, _, _ in proxy.seen] == ["GET"]
        bench.objects.close()

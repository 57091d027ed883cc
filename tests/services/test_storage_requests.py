"""What storing an object costs in requests to an object store."""

from __future__ import annotations

from pathlib import Path

import pytest

from storage_backends.encryption import EncryptedBackend, Keyring
from storage_backends.metered import MeteredBackend
from storage_backends.retrying import RetryingBackend
from storage_backends.testing import sample
from tests.backends.s3_proxy import driver_through, running_proxy
from tests.s3_server import S3Server
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

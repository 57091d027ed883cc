"""An instance's header in the DICOM JSON model, bulk data by URI."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from vna.dicom.json import dataset_json
from vna.model.instances import StoredInstance
from vna.model.query import JsonElement
from vna.services.header_bytes import header_bytes, tail_bytes
from vna.services.retrieve import RetrieveService


def header_json(
    retrieve: RetrieveService, instance: StoredInstance, bulk_uri: Callable[[str], str]
) -> dict[str, JsonElement]:
    """Every element of the stored dataset by tag; those behind the pixel data included.

    Raises Corrupt, Unavailable.
    """
    layout, tail = instance.layout, tail_bytes(retrieve, instance)
    with header_bytes(retrieve, instance) as buffer:
        describe = partial(
            dataset_json,
            dataset_offset=layout.dataset_offset,
            transfer_syntax_uid=instance.transfer_syntax_uid,
            bulk_uri=bulk_uri,
        )
        attributes = describe(buffer, stop=layout.header_length)
        if tail:
            # Read behind the header, not alone: the first elements say how the dataset is written.
            attributes |= describe(bytes(buffer[: layout.header_length]) + tail)
    return dict(sorted(attributes.items())) if tail else attributes

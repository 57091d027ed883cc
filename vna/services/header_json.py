"""An instance's header in the DICOM JSON model, bulk data by URI."""

from __future__ import annotations

import logging
from collections.abc import Callable

from vna.dicom.json import dataset_json
from vna.model.instances import StoredInstance
from vna.model.query import JsonElement
from vna.services.header_bytes import MAX_INFLATED, header_bytes
from vna.services.retrieve import RetrieveService

log = logging.getLogger(__name__)


def header_json(
    retrieve: RetrieveService, instance: StoredInstance, bulk_uri: Callable[[str], str] | None
) -> dict[str, JsonElement]:
    """Every element of the stored dataset by tag; those behind the pixel data included; without
    `bulk_uri` long binary values too.

    With `Remembering` for `bulk_uri`, elements are shared with others and must not be changed.
    Raises Corrupt, Unavailable.
    """
    layout = instance.layout
    with header_bytes(retrieve, instance) as header:
        if not header.is_whole:
            log.warning(
                "what stands behind the pixel data of %s is not described: its dataset inflates to more than %d bytes",
                instance.uids.sop_instance_uid,
                MAX_INFLATED,
            )
        return dataset_json(
            header.data,
            dataset_offset=layout.dataset_offset,
            transfer_syntax_uid=header.transfer_syntax_uid,
            stop=header.stop,
            tail=header.tail if layout.pixel_offset >= 0 else None,
            bulk_uri=bulk_uri,
        )

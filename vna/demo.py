"""Fill an archive with the images that come with pydicom, for a first look."""

from __future__ import annotations

from pathlib import Path

import click
import pydicom.data

from vna.bootstrap import build
from vna.config import Config
from vna.migration.command import import_paths
from vna.model.identifiers import Level, Origin
from vna.model.query import Query

_NEXT = """
Try next, while `make run` runs in another terminal:
  curl '{root}/studies?limit=3'
  curl '{root}/studies/{study}/metadata'
  curl -o study.bin '{root}/studies/{study}'
  findscu -S -aec {ae} {host} {port} -k QueryRetrieveLevel=STUDY -k PatientName -k StudyInstanceUID
"""


def run_demo(config: Config) -> int:
    """Import pydicom's bundled files and print what to try; 0 when there are studies afterwards.

    Some of those files are broken on purpose: they are listed as refused and do no harm.
    """
    with build(config) as archive:
        import_paths(archive.store, (Path(pydicom.data.__file__).parent,))
        query = Query(Level.STUDY, return_tags=frozenset({0x0020000D}), limit=1)
        records = list(archive.query.find(query, Origin("import")))
    if not records:
        return 1
    values = records[0].attributes["0020000D"]["Value"]
    study = values[0] if isinstance(values, list) else values
    click.echo(
        _NEXT.format(
            root=f"http://{config.web.host}:{config.web.port}/dicom-web",
            study=study,
            ae=config.archive.ae_title,
            host=config.dimse.host,
            port=config.dimse.port,
        )
    )
    return 0

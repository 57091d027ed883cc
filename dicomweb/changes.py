"""The feed of changes: what was stored, deleted and restored, for programs that keep in step."""

from __future__ import annotations

import hashlib

import orjson
from flask import Flask, Response

from dicomweb.bodies import conditional
from dicomweb.context import asked_types
from dicomweb.media import JSON
from dicomweb.negotiate import Offer, choose
from dicomweb.parameters import number_parameter
from dicomweb.urls import ROOT, Urls, instance_path
from vna.errors import Gone
from vna.model.changes import Change, ChangePage
from vna.services.changes import MOST, ChangeService

USUAL = 1000
"""Changes in one answer unless the client asks for fewer or more."""


class Changes:
    """The changes after a number; whoever remembers the last one it saw misses none."""

    def __init__(self, changes: ChangeService, urls: Urls) -> None:
        self._changes = changes
        self._urls = urls

    def register(self, app: Flask) -> None:
        """Add the route to `app`."""
        app.add_url_rule(f"{ROOT}/changes", "changes", self.changes)

    def changes(self) -> Response:
        """A page of changes, and a link to the next one where there are more."""
        choose(asked_types(), (Offer(JSON),))
        after, limit = number_parameter("after", 0), number_parameter("limit", USUAL, MOST)
        page = self._changes.after(after, limit)
        if after + 1 < page.oldest:
            raise Gone(
                f"changes before {page.oldest} are kept no more: look the archive through once, "
                f"and go on from there with after={page.newest}"
            )
        root = self._urls.root()
        return conditional(
            _tag(page, after), f"{limit} {root}", lambda: self._answer(page, limit, root)
        )

    def _answer(self, page: ChangePage, limit: int, root: str) -> Response:
        response = Response(orjson.dumps(self._document(page)), mimetype=JSON)
        if page.changes and page.changes[-1].number < page.newest:
            following = f"{root}/changes?after={page.changes[-1].number}&limit={limit}"
            response.headers["Link"] = f'<{following}>; rel="next"'
        return response

    def _document(self, page: ChangePage) -> dict[str, object]:
        studies = self._urls.studies()
        return {
            "changes": [_described(change, studies) for change in page.changes],
            "oldest": page.oldest,
            "newest": page.newest,
        }


def _tag(page: ChangePage, after: int) -> str:
    """Changes never change: the first and the last one tell what lies between. `newest` alone would not do, since it
    is asked for later; and a count that was set back by a copy of the database may come to a number twice.
    """
    last = (page.changes[-1].number, page.changes[-1].at.timestamp()) if page.changes else ""
    digest = hashlib.blake2b(repr((after, last)).encode(), digest_size=8).hexdigest()
    return f"{digest}-{page.oldest}-{page.newest}"


def _described(change: Change, studies_url: str) -> dict[str, object]:
    uids = change.uids
    return {
        "number": change.number,
        "at": change.at,
        "action": change.action.value,
        "study_instance_uid": uids.study_instance_uid,
        "series_instance_uid": uids.series_instance_uid,
        "sop_instance_uid": uids.sop_instance_uid,
        "url": studies_url + instance_path(uids),
    }

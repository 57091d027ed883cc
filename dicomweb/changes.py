"""The feed of changes: what was stored, deleted and restored, for programs that keep in step."""

from __future__ import annotations

import orjson
from flask import Flask, Response, request

from dicomweb.errors import BadRequest
from dicomweb.media import JSON, accepted
from dicomweb.negotiate import Offer, choose
from dicomweb.urls import ROOT, Urls, instance_path
from vna.errors import Gone
from vna.model.changes import Change, ChangePage
from vna.services.changes import MOST, ChangeService

USUAL = 1000
"""Changes in one answer unless the client asks for fewer or more."""

_HIGHEST = 2**63 - 1


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
        choose(
            accepted(request.headers.get("Accept", ""), request.args.get("accept", "")),
            (Offer(JSON),),
        )
        after, limit = _number("after", 0, _HIGHEST), _number("limit", USUAL, MOST)
        page = self._changes.after(after, limit)
        if after + 1 < page.oldest:
            raise Gone(
                f"changes before {page.oldest} are kept no more: look the archive through once, "
                f"and go on from there with after={page.newest}"
            )
        response = Response(orjson.dumps(self._document(page)), mimetype=JSON)
        if page.changes and page.changes[-1].number < page.newest:
            following = f"{self._urls.root()}/changes?after={page.changes[-1].number}&limit={limit}"
            response.headers["Link"] = f'<{following}>; rel="next"'
        return response

    def _document(self, page: ChangePage) -> dict[str, object]:
        studies = self._urls.studies()
        return {
            "changes": [_described(change, studies) for change in page.changes],
            "oldest": page.oldest,
            "newest": page.newest,
        }


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


def _number(name: str, usual: int, highest: int) -> int:
    text = request.args.get(name, "").strip()
    if not text:
        return usual
    if not (text.isascii() and text.isdigit()):
        raise BadRequest(f"{name} must be a whole number of zero or more")
    return min(int(text[:20]), highest)

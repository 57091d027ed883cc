"""The trash over HTTP: a list of what was deleted, restoring it, and telling who asks for it that it lies there."""

from __future__ import annotations

import orjson
from flask import Flask, Response, request

from dicomweb.context import asked_types, origin
from dicomweb.delete import Permission
from dicomweb.errors import BadRequest, answer
from dicomweb.media import JSON
from dicomweb.negotiate import Offer, choose
from dicomweb.parameters import number_parameter, whole_number
from dicomweb.urls import ROOT, Urls
from vna.errors import Gone, NotFound, VnaError
from vna.model.identifiers import InstanceUids, is_keepable_uid
from vna.model.trash import TrashEntry
from vna.services.trash import TrashService

USUAL, MOST = 100, 1000
"""Entries in one answer, unless the client asks for fewer or more, and in any case."""


class Trash:
    """What was deleted, for those who may delete. What is in the trash is 410 to all others who ask for it."""

    def __init__(self, trash: TrashService, permission: Permission, urls: Urls) -> None:
        self._trash, self._permission, self._urls = trash, permission, urls

    def register(self, app: Flask) -> None:
        """Add the routes to `app`, and the answer to requests that find nothing."""
        app.add_url_rule(f"{ROOT}/trash", "trash", self.entries)
        # No form of another site can send a PUT with the credentials that a browser keeps.
        path = f"{ROOT}/trash/<entry>/restored"
        app.add_url_rule(path, "restore", self.restore, methods=["PUT"])
        app.register_error_handler(NotFound, self._not_found)

    def entries(self) -> Response:
        """A page of what can be restored, the oldest first, and a link to the next one."""
        choose(asked_types(), (Offer(JSON),))
        self._permission.check()
        study = request.args.get("study", "")
        if study and not is_keepable_uid(study):
            raise BadRequest("study is not a UID")
        after, limit = number_parameter("after", 0), number_parameter("limit", USUAL, MOST)
        found = self._trash.page(study, after, limit)
        response = Response(
            orjson.dumps({"entries": [self._described(entry) for entry in found]}), mimetype=JSON
        )
        if found and len(found) == limit:
            of_study = f"&study={study}" if study else ""
            following = f"{self._root()}?after={found[-1].trash_id}&limit={limit}{of_study}"
            response.headers["Link"] = f'<{following}>; rel="next"'
        return response

    def restore(self, entry: str) -> Response:
        """Everything of an entry becomes visible again, as though it were stored once more."""
        self._permission.check()
        try:
            number = whole_number("entry", entry)
        except BadRequest as exc:
            raise NotFound("entries of the trash have numbers, as its list gives them") from exc
        return Response(orjson.dumps(self._trash.restore(number, origin())), mimetype=JSON)

    def _described(self, entry: TrashEntry) -> dict[str, object]:
        uids = entry.uids
        return {
            "entry": entry.trash_id,
            "deleted_at": entry.deleted_at,
            "kept_until": self._trash.kept_until(entry.deleted_at),
            "deleted_by": entry.origin.peer,
            "study_instance_uid": uids.study_instance_uid,
            "series_instance_uid": uids.series_instance_uid,
            "sop_instance_uid": uids.sop_instance_uid,
            "instances": entry.instances,
            "bytes": entry.size,
            "is_being_swept": entry.swept > 0,
            "url": f"{self._root()}/{entry.trash_id}",
        }

    def _root(self) -> str:
        return f"{self._urls.root()}/trash"

    def _not_found(self, error: NotFound) -> Response:
        """410 for what was deleted and is in the trash still, 404 for all else."""
        uids = _asked_for()
        if uids is None:
            return answer(error)
        try:
            found = self._trash.find(uids)
        except VnaError:
            return answer(error)
        if found is None:
            return answer(error)
        gone = Gone(
            f"deleted at {found.deleted_at:%Y-%m-%d %H:%M %Z}: it is in entry {found.trash_id} of the trash, "
            f"from which it can be restored until {found.kept_until:%Y-%m-%d %H:%M %Z}"
        )
        return answer(gone)


def _asked_for() -> InstanceUids | None:
    """What a request to retrieve something names."""
    if request.method not in {"GET", "HEAD"}:
        return None
    named = request.view_args or {}
    uids = tuple(named.get(level, "") for level in ("study", "series", "instance"))
    if not uids[0]:
        uids = tuple(request.args.get(name, "") for name in ("studyUID", "seriesUID", "objectUID"))
    study, series, instance = uids
    if not study or not all(is_keepable_uid(uid) for uid in uids if uid):
        return None
    return InstanceUids(study, series, instance)

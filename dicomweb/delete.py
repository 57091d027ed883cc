"""Delete a study, a series or an instance, into the trash."""

from __future__ import annotations

from flask import Flask, Response, g, request

from dicomweb.context import origin
from dicomweb.errors import Forbidden
from dicomweb.urls import ROOT, check_uids
from vna.config import LOOPBACK, WebConfig
from vna.errors import NotFound
from vna.model.identifiers import InstanceUids
from vna.services.trash import TrashService


class Delete:
    """The delete transactions, for those whom `web.allow_delete` names."""

    def __init__(self, trash: TrashService, settings: WebConfig) -> None:
        self._trash = trash
        self._allowed = settings.allow_delete
        self._is_local = settings.host in LOOPBACK

    def register(self, app: Flask) -> None:
        """Add the routes to `app`."""
        study = f"{ROOT}/studies/<study>"
        series = f"{study}/series/<series>"
        for path in (study, series, f"{series}/instances/<instance>"):
            app.add_url_rule(path, f"delete {path}", self.delete, methods=["DELETE"])

    def delete(self, study: str, series: str = "", instance: str = "") -> Response:
        """Everything that the path names goes, at once; it can be restored until its sweep."""
        check_uids(study=study, series=series, instance=instance)
        self._check_allowed()
        try:
            self._trash.delete(InstanceUids(study, series, instance), origin())
        except NotFound as exc:
            raise NotFound(f"the archive has nothing at {request.path}") from exc
        return Response(status=204)

    def _check_allowed(self) -> None:
        if self._allowed == "nobody":
            raise Forbidden("nobody may delete here: web.allow_delete says so")
        is_known = bool(g.get("user", "")) or self._is_local
        if self._allowed == "users" and not is_known:
            raise Forbidden("only users who give their name and password may delete here")

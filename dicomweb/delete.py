"""Delete a study, a series or an instance, into the trash."""

from __future__ import annotations

from flask import Flask, Response, g, request

from dicomweb.context import origin
from dicomweb.errors import Forbidden
from dicomweb.urls import LEVELS, check_uids
from vna.config import LOOPBACK, WebConfig
from vna.errors import NotFound
from vna.model.identifiers import InstanceUids
from vna.services.trash import TrashService


class Permission:
    """Who may delete and restore: those whom `web.allow_delete` names."""

    def __init__(self, settings: WebConfig) -> None:
        self._allowed = settings.allow_delete
        self._is_local = settings.host in LOOPBACK

    def check(self) -> None:
        """Raises Forbidden when whoever makes the current request may not."""
        if self._allowed == "nobody":
            raise Forbidden("nobody may delete or restore here: web.allow_delete says so")
        is_known = bool(g.get("user", "")) or self._is_local
        if self._allowed == "users" and not is_known:
            raise Forbidden(
                "only users who give their name and password may delete or restore here"
            )


class Delete:
    """The delete transactions."""

    def __init__(self, trash: TrashService, permission: Permission) -> None:
        self._trash, self._permission = trash, permission

    def register(self, app: Flask) -> None:
        """Add the routes to `app`."""
        for path in LEVELS:
            app.add_url_rule(path, f"delete {path}", self.delete, methods=["DELETE"])

    def delete(self, study: str, series: str = "", instance: str = "") -> Response:
        """Everything that the path names goes, at once; it can be restored until its sweep."""
        check_uids(study=study, series=series, instance=instance)
        self._permission.check()
        try:
            self._trash.delete(InstanceUids(study, series, instance), origin())
        except NotFound as exc:
            raise NotFound(f"the archive has nothing at {request.path}") from exc
        return Response(status=204)

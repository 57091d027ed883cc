"""The WSGI application of the DICOMweb gateway."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Flask, Response, g, request

from dicomweb.auth import Authenticator
from dicomweb.bulk_resources import BulkResources
from dicomweb.bulkdata import Bulk
from dicomweb.capabilities import Capabilities
from dicomweb.changes import Changes
from dicomweb.codings import code_answers
from dicomweb.context import add_vary, watch_requests
from dicomweb.cors import answer_options
from dicomweb.delete import Delete, Permission
from dicomweb.errors import handle_errors
from dicomweb.frames import Frames
from dicomweb.limits import limit_bodies, limit_clients
from dicomweb.metadata import Metadata
from dicomweb.operations import Operations
from dicomweb.presented import Presented
from dicomweb.qido import Qido
from dicomweb.rebinding import refuse_rebound
from dicomweb.rendered import Rendered
from dicomweb.services import Services
from dicomweb.showing import Showing
from dicomweb.stow import Stow
from dicomweb.thumbnails import Thumbnails
from dicomweb.trash import Trash
from dicomweb.urls import ROOT, Urls
from dicomweb.wado import Wado
from dicomweb.wado_uri import URI_SERVICE, WadoUri
from vna.config import WebConfig


class Gateway(Flask):
    """Flask, whose views and hooks are all plain functions here: it looks at each of them with every request."""

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """`func`, which is no coroutine."""
        return func


def create_app(services: Services, settings: WebConfig) -> Flask:
    """A gateway to `services`. Raises ConfigError for settings that can't work."""
    app = Gateway("dicomweb", static_folder=None)
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    urls = Urls(settings)
    authenticator = Authenticator(settings)
    watch_requests(app, lambda: urls.told().address)
    limit_clients(app, settings)
    limit_bodies(app, settings)
    refuse_rebound(app, settings)
    answer_options(app, settings)
    _ask_for_credentials(app, authenticator)
    _keep_private(app)
    handle_errors(app)
    code_answers(app)
    Qido(services.query, urls, settings).register(app)
    Stow(services.store, urls, settings).register(app)
    Metadata(services.metadata, services.retrieve, urls).register(app)
    bulk = BulkResources(services.retrieve, services.pixels, services.frames, urls)
    bulk.register(app)
    Wado(services.retrieve, services.delivery, bulk, urls).register(app)
    Frames(services.retrieve, services.frames, urls).register(app)
    Bulk(services.retrieve, services.pixels, services.frames, urls).register(app)
    _show(app, services, urls)
    permission = Permission(settings)
    Delete(services.trash, permission).register(app)
    Trash(services.trash, permission, urls).register(app)
    Changes(services.changes, urls).register(app)
    Operations(services.health, authenticator).register(app)
    Capabilities(app, urls, settings).register()
    return app


def _show(app: Flask, services: Services, urls: Urls) -> None:
    """What people look at."""
    showing = Showing(services.retrieve, services.rendering, services.documents, urls)
    presented = Presented(services.retrieve, services.documents, showing, urls)
    Rendered(services.retrieve, showing, presented, urls).register(app)
    Thumbnails(services.retrieve, showing).register(app)
    WadoUri(
        services.retrieve, services.delivery, services.anonymizing, showing, presented
    ).register(app)


def _ask_for_credentials(app: Flask, authenticator: Authenticator) -> None:
    """Everything below the DICOMweb root needs a user, also paths that do not exist."""

    def check() -> None:
        if request.path.startswith((ROOT, URI_SERVICE)):
            g.user = authenticator.user(request.authorization)

    app.before_request(check)


def _keep_private(app: Flask) -> None:
    """Patient data is for its client alone: no shared cache, and asked for again each time."""

    def mark(response: Response) -> Response:
        response.headers.setdefault("Cache-Control", "private, no-cache")
        response.headers["X-Content-Type-Options"] = "nosniff"
        if request.path.startswith((ROOT, URI_SERVICE)) and request.method in {"GET", "HEAD"}:
            add_vary(response, "Accept")
        return response

    app.after_request(mark)

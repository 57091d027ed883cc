"""The WSGI application of the DICOMweb gateway."""

from __future__ import annotations

from flask import Flask, Response, g, request

from dicomweb.auth import Authenticator
from dicomweb.bulkdata import Bulk
from dicomweb.context import watch_requests
from dicomweb.cors import answer_options
from dicomweb.errors import handle_errors
from dicomweb.frames import Frames
from dicomweb.metadata import Metadata
from dicomweb.operations import Operations
from dicomweb.qido import Qido
from dicomweb.services import Services
from dicomweb.stow import Stow
from dicomweb.urls import ROOT, Urls
from dicomweb.wado import Wado
from vna.config import WebConfig


def create_app(services: Services, settings: WebConfig) -> Flask:
    """A gateway to `services`. Raises ConfigError for settings that can't work."""
    app = Flask("dicomweb", static_folder=None)
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    urls = Urls(settings.public_url)
    authenticator = Authenticator(settings)
    watch_requests(app)
    answer_options(app, settings)
    _ask_for_credentials(app, authenticator)
    _keep_private(app)
    handle_errors(app)
    Qido(services.query, urls, settings.max_results).register(app)
    Stow(services.store, urls).register(app)
    Metadata(services.metadata, services.retrieve, urls).register(app)
    Wado(services.retrieve, services.pixels, urls).register(app)
    Frames(services.retrieve, services.pixels, urls).register(app)
    Bulk(services.retrieve, services.pixels, urls).register(app)
    Operations(services.health, authenticator).register(app)
    return app


def _ask_for_credentials(app: Flask, authenticator: Authenticator) -> None:
    """Everything below the DICOMweb root needs a user, also paths that do not exist."""

    def check() -> None:
        if request.path.startswith(ROOT):
            g.user = authenticator.user(request.authorization)

    app.before_request(check)


def _keep_private(app: Flask) -> None:
    """Patient data is for its client alone: no shared cache, and asked for again each time."""

    def mark(response: Response) -> Response:
        response.headers.setdefault("Cache-Control", "private, no-cache")
        response.headers["X-Content-Type-Options"] = "nosniff"
        if request.path.startswith(ROOT) and request.method in {"GET", "HEAD"}:
            response.vary.update(("Accept", *_also_varies()))
        return response

    app.after_request(mark)


def _also_varies() -> tuple[str, ...]:
    """Metadata come compressed to those who take them so."""
    return ("Accept-Encoding",) if request.path.endswith("/metadata") else ()

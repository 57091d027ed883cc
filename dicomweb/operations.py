"""What operators and orchestrators ask: alive, ready, and how much was done."""

from __future__ import annotations

import logging
import os

import orjson
from flask import Flask, Response, request
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from dicomweb.auth import Authenticator
from dicomweb.context import correlation_id
from dicomweb.errors import Unauthorized
from vna.services.health import OK, HealthService

log = logging.getLogger(__name__)


class Operations:
    """/healthz and /readyz for everyone, /metrics for users."""

    def __init__(self, health: HealthService, authenticator: Authenticator) -> None:
        self._health = health
        self._authenticator = authenticator

    def register(self, app: Flask) -> None:
        """Add the routes to `app`."""
        app.add_url_rule("/healthz", "healthz", healthz)
        app.add_url_rule("/readyz", "readyz", self.readyz)
        app.add_url_rule("/metrics", "metrics", self.metrics)

    def readyz(self) -> Response:
        """200 when database and storage could serve now, else 503; only users are told why not."""
        parts = self._health.check()
        failed = {name: state for name, state in parts.items() if state != OK}
        for name, reason in failed.items():
            log.warning("not ready: %s: %s", name, reason, extra={"correlation": correlation_id()})
        if failed and not self._is_user():
            parts = {name: state if state == OK else "unavailable" for name, state in parts.items()}
        return _json({"status": "unavailable" if failed else OK, **parts}, 503 if failed else 200)

    def metrics(self) -> Response:
        """Every metric of all processes in the Prometheus text format."""
        self._authenticator.user(request.authorization)
        registry = REGISTRY
        if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)

    def _is_user(self) -> bool:
        try:
            self._authenticator.user(request.authorization)
        except Unauthorized:
            return False
        return True


def healthz() -> Response:
    """200 as long as the process answers."""
    return _json({"status": OK}, 200)


def _json(body: dict[str, str], status: int) -> Response:
    return Response(orjson.dumps(body), status=status, mimetype="application/json")

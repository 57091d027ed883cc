"""The URLs that answers carry: the archive's DICOMweb root as the client reaches it."""

from __future__ import annotations

from urllib.parse import quote

from flask import g, request

from dicomweb.errors import BadRequest
from dicomweb.forwarded import Told, TrustedProxies, is_host, without_default_port
from vna.config_web import DICOMWEB_PATH, WebConfig, public_root
from vna.errors import ConfigError, NotFound
from vna.model.identifiers import InstanceUids, is_keepable_uid

ROOT = DICOMWEB_PATH
STUDY = f"{ROOT}/studies/<study>"
SERIES = f"{STUDY}/series/<series>"
INSTANCE = f"{SERIES}/instances/<instance>"
LEVELS = (STUDY, SERIES, INSTANCE)
"""The routes of the resources that hold instances."""

_LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "[::1]"})


class Urls:
    """Makes URLs from `web.public_url`, or from what trusted proxies tell, or from the address that
    the client has connected to; never from a Host that just anyone may write.

    `public_url` is the DICOMweb root as clients see it; without a path, /dicom-web is added.
    """

    def __init__(self, settings: WebConfig) -> None:
        """Raises ConfigError when `public_url` is no http or https URL."""
        self._root = public_root(settings.public_url)
        self._own_names = frozenset({bracketed(settings.host).lower()})
        try:
            self._proxies = TrustedProxies(settings.trusted_proxies)
        except ValueError as exc:
            raise ConfigError(f"web.trusted_proxies: {exc}") from exc

    def root(self) -> str:
        """The DICOMweb root, without a slash at its end. Raises BadRequest for an odd Host."""
        if self._root:
            return self._root
        told = self.told()
        scheme = told.scheme or request.scheme
        host = told.host or self._own_host()
        host = without_default_port(scheme, host)
        return f"{scheme}://{host}{told.prefix}{request.script_root}{ROOT}"

    def studies(self) -> str:
        """The URL of all studies, which those of instances and bulk data begin with."""
        return self.root() + "/studies"

    def told(self) -> Told:
        """What is known of the client of the current request."""
        if "told" not in g:
            g.told = self._proxies.told(request.remote_addr or "", request.headers)
        found: Told = g.told
        return found

    def _own_host(self) -> str:
        """The Host of the request where it can only mean this archive, else where it was reached."""
        host = request.environ.get("HTTP_HOST") or ""
        if host and not is_host(host):
            raise BadRequest("the Host header is not a host name with an optional port")
        environ = request.environ
        port = str(environ.get("SERVER_PORT") or "80")
        own = bracketed(str(environ.get("SERVER_NAME") or "127.0.0.1"))
        name, named_port = _split_port(host)
        if name.lower() in _LOOPBACK_NAMES or name.lower() in {own.lower(), *self._own_names}:
            # Python's dicomweb-client leaves the port out.
            return f"{name}:{named_port or port}"
        return f"{own}:{port}"


def bracketed(address: str) -> str:
    """`address` as it stands in a URL: IPv6 in brackets."""
    return f"[{address}]" if ":" in address and not address.startswith("[") else address


def instance_path(uids: InstanceUids) -> str:
    """The path of an instance behind the URL of all studies."""
    return series_path(uids.study_instance_uid, uids.series_instance_uid) + (
        f"/instances/{quote(uids.sop_instance_uid, safe='')}"
    )


def series_path(study_instance_uid: str, series_instance_uid: str) -> str:
    """The path of a series behind the URL of all studies."""
    return f"{study_path(study_instance_uid)}/series/{quote(series_instance_uid, safe='')}"


def study_path(study_instance_uid: str) -> str:
    """The path of a study behind the URL of all studies."""
    return "/" + quote(study_instance_uid, safe="")


def check_uids(**uids: str) -> None:
    """Raises NotFound for a UID under which nothing can ever be stored; "" stands for none."""
    for name, uid in uids.items():
        if uid and not is_keepable_uid(uid):
            raise NotFound(f"{name} in the path is not a UID")


def _split_port(host: str) -> tuple[str, str]:
    name, colon, port = host.rpartition(":")
    return (name, port) if colon and port.isdecimal() else (host, "")

"""The URLs that answers carry: the archive's DICOMweb root as the client reaches it."""

from __future__ import annotations

import re
from urllib.parse import quote, urlsplit

from flask import request

from dicomweb.errors import BadRequest
from vna.errors import ConfigError, NotFound
from vna.model.identifiers import InstanceUids, is_keepable_uid

ROOT = "/dicom-web"

_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9_][A-Za-z0-9_.-]{0,252})(?::[0-9]{1,5})?")
_LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "[::1]"})


class Urls:
    """Makes URLs from `web.public_url`, or from the Host of the request when that is empty.

    `public_url` is the DICOMweb root as clients see it; without a path, /dicom-web is added.
    """

    def __init__(self, public_url: str) -> None:
        """Raises ConfigError when `public_url` is no http or https URL."""
        self._root = _public_root(public_url) if public_url else ""

    def root(self) -> str:
        """The DICOMweb root, without a slash at its end. Raises BadRequest for an odd Host."""
        if self._root:
            return self._root
        host = request.environ.get("HTTP_HOST") or request.host
        if _HOST.fullmatch(host) is None:
            raise BadRequest("the Host header is not a host name with an optional port")
        if host in _LOOPBACK_HOSTS:
            # Python's dicomweb-client leaves the port out; nothing but this server can be meant.
            host = f"{host}:{request.environ.get('SERVER_PORT', '80')}".removesuffix(":80")
        return f"{request.scheme}://{host}{request.script_root}{ROOT}"

    def studies(self) -> str:
        """The URL of all studies, which those of instances and bulk data begin with."""
        return self.root() + "/studies"


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


def _public_root(public_url: str) -> str:
    parts = urlsplit(public_url.rstrip("/"))
    if parts.scheme not in {"http", "https"} or not parts.netloc or parts.query or parts.fragment:
        raise ConfigError(
            f"web.public_url {public_url!r} must be a URL such as https://pacs.example.org/dicom-web"
        )
    return f"{parts.scheme}://{parts.netloc}{parts.path or ROOT}"

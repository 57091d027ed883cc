"""Errors of an S3 server, of its SDK and of the connection, in the words of the storage contract."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from xml.etree import ElementTree as ET

from minio.error import InvalidResponseError, MinioException, S3Error, ServerError
from urllib3.exceptions import HTTPError

from storage_backends.errors import (
    BackendFull,
    BackendReadOnly,
    BackendUnavailable,
    InvalidRange,
    ObjectExists,
    ObjectNotFound,
    StorageError,
)
from storage_backends.s3.sending import Answer

_FULL = frozenset(
    {"QuotaExceeded", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded", "InsufficientStorage"}
)
_NOT_ALLOWED = frozenset({"AccessDenied", "AllAccessDisabled", "MethodNotAllowed"})
_CODES: dict[int, str] = {
    HTTPStatus.FORBIDDEN: "AccessDenied",
    HTTPStatus.NOT_FOUND: "NoSuchKey",
    HTTPStatus.METHOD_NOT_ALLOWED: "MethodNotAllowed",
    HTTPStatus.CONFLICT: "ResourceConflict",
    HTTPStatus.NOT_IMPLEMENTED: "NotImplemented",
}
"""What an answer without words means."""
_REMEDIES = {
    "NoSuchBucket": "make the bucket, or correct the option 'bucket'",
    "AccessDenied": "check access_key and secret_key; they need GetObject, PutObject, DeleteObject and ListBucket",
    "InvalidAccessKeyId": "correct the option 'access_key'",
    "SignatureDoesNotMatch": "correct the option 'secret_key'",
    "ExpiredToken": "renew the session credentials; files are read again when they change",
    "InvalidToken": "renew the session credentials; files are read again when they change",
    "RequestTimeTooSkewed": "set the clocks of this machine and of the store",
    "AuthorizationHeaderMalformed": "correct the option 'region'",
    "PermanentRedirect": "correct the options 'endpoint' and 'region'",
}


@contextmanager
def translated(name: str, what: str, *, writes: bool = False) -> Iterator[None]:
    """Let only StorageError out; `what` is the key or the operation. What may not be done is a read-only store
    to who `writes`.
    """
    try:
        yield
    except StorageError:
        raise
    except (MinioException, HTTPError, OSError, ValueError, ET.ParseError) as exc:
        found = storage_error(exc, name, what)
        code = exc.code if isinstance(exc, S3Error) else ""
        raise (BackendReadOnly(str(found)) if writes and code in _NOT_ALLOWED else found) from exc


def storage_error(error: Exception, name: str, what: str) -> StorageError:
    """The contract's error for one of the SDK or of the connection."""
    where = f"{name}: {what!r}"
    match error:
        case S3Error():
            return _of_code(error.code or "", error.message or "", status_of(error), where)
        case ServerError():
            return _of_code("", str(error), error.status_code, where)
        case InvalidResponseError():
            return BackendUnavailable(f"{where}: {error}"[:500])
        case HTTPError() | OSError():
            return BackendUnavailable(f"{where}: the connection failed: {error}")
        case _:
            return BackendUnavailable(f"{where}: {error}")


def _of_code(code: str, message: str, status: int, where: str) -> StorageError:
    told = f"{where}: the store says {code or status}: {message}"
    if code in {"NoSuchKey", "NotFound"} or (status == HTTPStatus.NOT_FOUND and not code):
        return ObjectNotFound(f"{where}: no such object")
    if code == "InvalidRange" or status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        return InvalidRange(told)
    if code == "PreconditionFailed" or status == HTTPStatus.PRECONDITION_FAILED:
        return ObjectExists(f"{where} exists")
    if code in _FULL or status == HTTPStatus.INSUFFICIENT_STORAGE:
        return BackendFull(told)
    remedy = _REMEDIES.get(code)
    return BackendUnavailable(f"{told}; {remedy}" if remedy else told)


def refusal(answer: Answer, resource: str) -> MinioException:
    """What the SDK would raise for such an answer to a PUT."""
    try:
        return S3Error.fromxml(answer)
    except (ET.ParseError, ValueError):
        code = _CODES.get(answer.status)
        if code is None:
            said = answer.data[:200].decode(errors="replace")
            return ServerError(f"HTTP status {answer.status} {said}".rstrip(), answer.status)
        return S3Error(answer, code, f"HTTP status {answer.status}", resource, None, None)


def status_of(error: S3Error) -> int:
    """The HTTP status that it came with."""
    return int(getattr(error.response, "status", 0) or 0)

"""The SDK's client with what the driver needs of single requests: checksums, conditions, connections of its own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, cast
from xml.etree import ElementTree as ET

import urllib3
from minio import Minio
from minio.credentials import Credentials
from minio.signer import sign_v4_s3
from minio.sse import Sse, SseCustomerKey, SseKMS, SseS3

from storage_backends.errors import InvalidOptions
from storage_backends.s3.checksums import Checksum, is_covered, md5
from storage_backends.s3.credentials import provider_of
from storage_backends.s3.errors import refusal
from storage_backends.s3.options import S3Options
from storage_backends.s3.sending import Body, SendingConnections

_UNSIGNED = "UNSIGNED-PAYLOAD"
_DEFAULT_REGION = "us-east-1"


class Client(Minio):  # type: ignore[misc]
    """One bucket's requests. Raises what the SDK and urllib3 raise; the backend translates that.

    A body is covered by a checksum that the store proves; the signature leaves it out, whether or not TLS is
    spoken, since hashing it twice would cost more than sending it.
    """

    def __init__(self, options: S3Options) -> None:
        self._pool = _pool_of(options)
        self._sending = SendingConnections(options)
        super().__init__(
            options.host,
            secure=options.is_secure,
            region=options.region or (None if options.is_aws else _DEFAULT_REGION),
            http_client=self._pool,
            credentials=provider_of(options),
        )
        if options.addressing == "virtual":
            self.enable_virtual_style_endpoint()
        elif options.addressing == "path":
            self.disable_virtual_style_endpoint()
        self._bucket = options.bucket
        self._sse = _sse_of(options)
        self.customer_key = self._sse if isinstance(self._sse, SseCustomerKey) else None
        self._storage_class = options.storage_class

    def put(self, name: str, body: Body, *, only_new: bool, checksum: Checksum = md5) -> None:
        """One object in one request; with `only_new` the store refuses a name that is taken (412)."""
        headers = {**self._object_headers(), **checksum(body), **_condition(only_new)}
        self._send(name, body, headers)

    def remove(self, name: str) -> None:
        """Delete an object."""
        self.remove_object(self._bucket, name)

    def begin(self, name: str) -> str:
        """Start a multipart upload; its id."""
        return str(self._create_multipart_upload(self._bucket, name, self._object_headers()))

    def put_part(self, name: str, upload: str, number: int, body: Body) -> str:
        """One part, counted from 1; its ETag."""
        headers = md5(body)
        if self.customer_key is not None:
            headers.update(self.customer_key.headers())
        return self._send(name, body, headers, {"partNumber": str(number), "uploadId": upload})

    def finish(self, name: str, upload: str, etags: Sequence[str], *, only_new: bool) -> None:
        """Make the parts, in their order, one object.

        A store may answer 200 and tell an error in the body; whoever needs to be sure asks for the object after it.
        """
        root = ET.Element("CompleteMultipartUpload")
        for number, etag in enumerate(etags, 1):
            part = ET.SubElement(root, "Part")
            ET.SubElement(part, "PartNumber").text = str(number)
            ET.SubElement(part, "ETag").text = f'"{etag}"'
        body = ET.tostring(root)
        headers = {"Content-Type": "application/xml", **md5(body), **_condition(only_new)}
        if self.customer_key is not None:
            headers.update(self.customer_key.headers())
        self._execute(
            "POST",
            self._bucket,
            name,
            body=body,
            headers=headers,
            query_params={"uploadId": upload},
        )

    def abort(self, name: str, upload: str) -> None:
        """Give a multipart upload up."""
        self._abort_multipart_upload(self._bucket, name, upload)

    def close(self) -> None:
        """Close the connections that no reader holds."""
        self._pool.clear()
        self._sending.close()

    def _send(
        self, name: str, body: Body, headers: dict[str, Any], query: dict[str, str] | None = None
    ) -> str:
        """The ETag of a PUT that the SDK signs and the driver sends.

        A store always tells it: what says 200 without is something else on the way, or was cut.
        """
        credentials = self._provider.retrieve()
        region = self._get_region(self._bucket)
        url = self._base_url.build(
            method="PUT",
            region=region,
            bucket_name=self._bucket,
            object_name=name,
            query_params=query,
        )
        headers, date = self._build_headers(url.netloc, headers, body, credentials)
        signed = sign_v4_s3(
            method="PUT",
            url=url,
            region=region,
            headers=headers,
            credentials=credentials,
            content_sha256=_UNSIGNED,
            date=date,
        )
        answer = self._sending.put(url, cast("dict[str, str]", signed), body)
        etag = answer.headers.get("ETag", "").strip('"')
        if answer.status != HTTPStatus.OK or not etag:
            raise refusal(answer, url.path)
        return etag

    def _object_headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/dicom"}
        if self._storage_class:
            headers["x-amz-storage-class"] = self._storage_class
        if self._sse is not None:
            headers.update(self._sse.headers())
        return headers

    def _build_headers(
        self,
        host: str,
        headers: dict[str, Any] | None = None,
        body: Body | None = None,
        creds: Credentials | None = None,
    ) -> tuple[dict[str, Any], datetime]:
        """As the SDK's, without hashing a body that is covered already."""
        if body is None or not headers or not is_covered(headers):
            return super()._build_headers(host, headers, body, creds)  # type: ignore[no-any-return]
        built, date = super()._build_headers(host, headers, None, creds)
        built["Content-Length"] = str(len(body))
        if creds is not None:
            built["x-amz-content-sha256"] = _UNSIGNED
        return built, date


class _Pool(urllib3.PoolManager):
    """Connections of the driver; what a store calls text/xml is XML to the SDK, too."""

    def urlopen(self, method: str, url: str, **kw: Any) -> Any:  # type: ignore[override]
        response = super().urlopen(method, url, **kw)
        if response.headers.get("content-type", "").startswith("text/xml"):
            response.headers["content-type"] = "application/xml"
        return response


def _pool_of(options: S3Options) -> _Pool:
    if options.ca_file and not Path(options.ca_file).is_file():
        raise InvalidOptions(f"storage backend 's3': there is no ca_file {options.ca_file}")
    return _Pool(
        num_pools=4,
        maxsize=options.connections,
        timeout=urllib3.Timeout(connect=options.connect_timeout, read=options.read_timeout),
        retries=False,  # RetryingBackend repeats, and knows what may be repeated
        cert_reqs="CERT_REQUIRED",
        ca_certs=options.ca_file or None,
    )


def _sse_of(options: S3Options) -> Sse | None:
    match options.sse:
        case "s3":
            return SseS3()
        case "kms":
            return SseKMS(options.sse_key_id, {})
        case "customer":
            try:
                return SseCustomerKey(Path(options.sse_key_file).read_bytes())
            except (OSError, ValueError) as exc:
                raise InvalidOptions(
                    f"storage backend 's3': sse_key_file {options.sse_key_file}: {exc}"
                ) from exc
        case _:
            return None


def _condition(only_new: bool) -> dict[str, str]:
    return {"If-None-Match": "*"} if only_new else {}

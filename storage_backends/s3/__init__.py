"""Any S3-compatible object store as a storage backend."""

from storage_backends.s3.backend import S3Backend
from storage_backends.s3.options import S3Options

__all__ = ["S3Backend", "S3Options"]
